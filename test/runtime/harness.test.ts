import { deepStrictEqual } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { cgroupOf } from '../lab/cgroups.ts';
import { startLab } from '../lab/lab.ts';
import { removeLab } from '../lab/leftovers.ts';
import { machine, processesOf } from '../lab/machine.ts';
import { LISTEN } from './image.ts';
import { RuntimeNode } from './runtimeNode.ts';

// What the tests with a container runtime leave on the machine.

let before: unknown;

beforeEach(async () => {
  before = await machine();
});
afterEach(async () => {
  deepStrictEqual(await machine(), before);
});

test('of containers that run nothing is left when their lab ends', async () => {
  const at = await RuntimeNode.start();
  const { directory } = at.lab;
  const pod = await at.runSandbox({ namespace: 'red', name: 'web' });
  await pod.startContainer(LISTEN);
  expect(cgroups(directory)).not.toEqual([]);
  at[Symbol.dispose]();
  expect([processesOf(directory), cgroups(directory), existsSync(directory)]).toEqual([[], [], false]);
});

test('of a killed run nothing is left once the next lab starts', async () => {
  const program = `
    import { LISTEN } from ${JSON.stringify(join(import.meta.dirname, 'image.ts'))};
    import { RuntimeNode } from ${JSON.stringify(join(import.meta.dirname, 'runtimeNode.ts'))};
    const at = await RuntimeNode.start();
    const pod = await at.runSandbox({ namespace: 'red', name: 'web' });
    await pod.startContainer(LISTEN);
    console.log(at.lab.directory);
  `;
  const argv = ['--input-type=module', '--eval', program];
  const run = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [directory] = (await once(createInterface(run.stdout), 'line')) as [string];
  onTestFinished(() => removeLab(basename(directory)));
  run.kill('SIGKILL');
  await once(run, 'exit');
  expect(processesOf(directory)).not.toEqual([]);
  expect(cgroups(directory)).not.toEqual([]);
  const next = await startLab();
  onTestFinished(() => next.stop());
  expect([processesOf(directory), cgroups(directory), existsSync(directory)]).toEqual([[], [], false]);
});

/** Returns the control groups of a lab. */
function cgroups(directory: string): readonly string[] {
  const mount = '/sys/fs/cgroup';
  const hierarchies = ['', ...readdirSync(mount)].map((name) => join(mount, name));
  return hierarchies.map((path) => join(path, cgroupOf(basename(directory)))).filter((path) => existsSync(path));
}
