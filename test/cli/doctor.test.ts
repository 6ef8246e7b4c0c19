import { expect, test } from 'vitest';
import { doctorCommand, doctorText } from '../../src/cli/doctor.ts';
import { Findings, type Finding } from '../../src/doctor/finding.ts';
import { runCommand } from '../helpers/commandLine.ts';

test('the worst comes first, and what it comes to last', () => {
  const [bridge, engines] = [new Findings('bridge'), new Findings('engines')];
  const text = doctorText([
    bridge.ok('All is well'),
    engines.warning('Calico judges pods too', 'run one of both'),
    bridge.problem('br_netfilter is not loaded', 'modprobe br_netfilter'),
    bridge.unknown('Cannot look', 'run this as root'),
  ]);
  expect(text).toMatchInlineSnapshot(`
    "problem  bridge      br_netfilter is not loaded
                         → modprobe br_netfilter
    warning  engines     Calico judges pods too
                         → run one of both
    unknown  bridge      Cannot look
                         → run this as root
    ok       bridge      All is well

    1 problem, 1 warning, 1 could not be looked at, 1 good
    "
  `);
});

test.for([['--output', 'xml'], ['--what'], ['more'], ['--cni-conf-dir']])('refuses %s in one line', async (args) => {
  const { exitCode, stderr } = await runCommand(doctorCommand, args);
  expect([exitCode, stderr.split('\n').length]).toEqual([2, 2]);
});

test('a directory that is not there is a problem, and no failure', async () => {
  const places = ['--cni-bin-dir', '/nowhere', '--cni-conf-dir', '/nowhere', '--runtime-dir', '/nowhere'];
  const { exitCode, stdout, stderr } = await runCommand(doctorCommand, [...places, '--output', 'json'], {
    PATH: '/nowhere',
  });
  const { healthy, findings } = JSON.parse(stdout) as { healthy: boolean; findings: readonly Finding[] };
  expect([exitCode, stderr, healthy]).toEqual([1, '', false]);
  const checks = findings.map(({ level, check }) => `${level} ${check}`);
  expect(checks).toEqual(expect.arrayContaining(['problem conflist', 'problem executable', 'problem programs']));
});
