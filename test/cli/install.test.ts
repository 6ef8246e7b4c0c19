import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterAll, describe, expect, test } from 'vitest';
import { runCommandLine } from '../../src/cli/main.ts';
import { conflistText } from '../install/conflists.ts';
import { TemporaryDirectory } from '../helpers/temporaryDirectory.ts';

// Only networks without a bridge: for one with a bridge `install` sets what is the machine's own. `cleanup` needs a network namespace of its own.

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());
const executable = directory.file('source');
writeFileSync(executable, 'this is the program');

function nodeDirectories(conflist: string | undefined): { readonly conf: string; readonly args: readonly string[] } {
  const base = directory.file(String(readdirSync(directory.path).length));
  mkdirSync(`${base}/conf`, { recursive: true });
  if (conflist !== undefined) writeFileSync(`${base}/conf/10-a.conflist`, conflist);
  return {
    conf: `${base}/conf/10-a.conflist`,
    args: ['--cni-bin-dir', `${base}/bin`, '--cni-conf-dir', `${base}/conf`],
  };
}

async function run(args: readonly string[], io: { readonly executable?: string } = { executable }) {
  const [out, err]: [string[], string[]] = [[], []];
  const exitCode = await runCommandLine(args, {
    stdout: (text) => out.push(text),
    stderr: (text) => err.push(text),
    env: { PATH: '/nowhere' },
    executable: io.executable,
  });
  return {
    exitCode,
    stdout: out.join('').replaceAll(directory.path, '~'),
    stderr: err.join('').replaceAll(directory.path, '~'),
  };
}

describe('install', () => {
  test('tells each thing it did in a line of its own, or all of it as JSON', async () => {
    const { args, conf } = nodeDirectories(conflistText('kindnet.conflist'));
    expect(await run(['install', ...args, '--backend', 'iptables-nft', '--agent-timeout-ms', '500'])).toEqual({
      exitCode: 0,
      stdout: `~/1/bin/kube-nwplcy: copied the executable\n~/1/conf/10-a.conflist: added kube-nwplcy after portmap\n`,
      stderr: '',
    });
    const { plugins } = JSON.parse(readFileSync(conf, 'utf8')) as { plugins: unknown[] };
    expect(plugins.at(-1)).toEqual({ type: 'kube-nwplcy', backend: 'iptables-nft', agentTimeoutMs: 500 });
    const { exitCode, stdout } = await run([
      'install',
      ...args,
      '--log-level',
      'debug',
      '--dry-run',
      '--output',
      'json',
    ]);
    expect([exitCode, JSON.parse(stdout)]).toEqual([
      0,
      {
        dryRun: true,
        changed: true,
        steps: [
          { path: '~/1/bin/kube-nwplcy', verb: 'unchanged', what: '' },
          { path: '~/1/conf/10-a.conflist', verb: 'set', what: 'logLevel to "debug"' },
        ],
        notes: [],
        problems: [],
      },
    ]);
  });

  test('without a network it fails and says so', async () => {
    const { args } = nodeDirectories(undefined);
    const { exitCode, stderr } = await run(['install', ...args]);
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringMatching(/^Cannot find the network in ".*\/conf": it has no \.conf/),
    ]);
  });

  test.for([
    {
      args: ['--backend', 'x'],
      says: '"backend" must be one of "auto", "nftables", "iptables-nft", "iptables-legacy", not "x"',
    },
    {
      args: ['--agent-timeout-ms', '1e9'],
      says: '"agentTimeoutMs" must be a whole number of milliseconds from 0 to 60000, not "1e9"',
    },
    { args: ['--runtime-dir', 'here'], says: '"runtimeDir" must be an absolute path, not "here"' },
    {
      args: ['--log-level', 'loud', '--mark-mask', '3'],
      says: '"markMask" must be a mask of 8 to 31 neighbouring bits such as "0xffff0000", not "3"',
    },
  ])('$args is bad usage, in the words of the plugin', async ({ args, says }) => {
    const node = nodeDirectories(conflistText('kindnet.conflist'));
    const { exitCode, stderr } = await run(['install', ...node.args, ...args]);
    expect([exitCode, stderr.includes(says)], stderr).toEqual([2, true]);
    expect(readFileSync(node.conf, 'utf8')).toBe(conflistText('kindnet.conflist'));
  });

  test('from the sources there is nothing to install', async () => {
    expect(await run(['install'], {})).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: 'Cannot install: this is not the packed executable; build it and run "dist/kube-nwplcy install"\n',
    });
  });
});

describe('cleanup', () => {
  test('refuses while an agent answers, and touches nothing then', async () => {
    const { args, conf } = nodeDirectories(undefined);
    const runtimeDir = directory.file('run');
    mkdirSync(runtimeDir);
    copyFileSync(new URL('../install/conflists/kindnet.conflist', import.meta.url), conf);
    await run(['install', ...args, '--runtime-dir', runtimeDir]);
    const installed = readFileSync(conf, 'utf8');
    const server = createServer().listen(`${runtimeDir}/agent.sock`);
    await once(server, 'listening');
    // The conflist says which runtime directory is meant.
    expect(await run(['cleanup', ...args])).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: 'Cannot clean up: the agent of "~/run" runs; stop it first\n',
    });
    server.close();
    expect(readFileSync(conf, 'utf8')).toBe(installed);
  });
});
