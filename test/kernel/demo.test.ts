import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, onTestFinished, test } from 'vitest';
import { removeLab } from '../lab/leftovers.ts';
import { machine, processesOf } from '../lab/machine.ts';
import { runner } from '../lab/run.ts';
import { backendUnderTest } from './backend.ts';

// The demo is the first that a stranger sees of the product, and it runs on the stranger's machine.

const LABS = '/run/kube-nwplcy-lab';

test('the demo shows what it says, fits a terminal of 100 columns, and leaves the machine as it was', async () => {
  const before = await machine();
  const demo = startDemo();
  const [code, signal] = await demo.ended;
  const text = demo.lines.join('\n');
  expect({ code, signal, stderr: demo.stderr() }, text).toEqual({ code: 0, signal: null, stderr: '' });
  expect(demo.lines.filter((line) => line.includes('connections that got through'))).toEqual([
    '   connections that got through: 0',
  ]);
  expect(demo.lines.filter((line) => / flows tried/.test(line) && !/all as the API says/.test(line))).toEqual([]);
  expect(text).toMatch(/cut by a reset after \d+ ms/);
  expect(demo.lines.filter((line) => line.length > 100)).toEqual([]);
  // Not a terminal: no colour.
  expect(text).not.toContain('\u001B');
  expect(await machine()).toEqual(before);
  expect(labsOf(demo.pid)).toEqual([]);
});

describe('a Ctrl-C leaves nothing', () => {
  test.for([
    { moment: 'while the cluster starts', after: /^1 / },
    { moment: 'while a policy is put in force', after: /^3 / },
    { moment: 'while a new pod is hammered', after: /^8 / },
  ])('$moment', async ({ after }) => {
    const before = await machine();
    const demo = startDemo();
    const seen = await demo.sees(after);
    const labs = labsOf(demo.pid);
    // A terminal signals everything in the foreground.
    process.kill(-demo.pid, 'SIGINT');
    expect(seen).toBe(true);
    expect(await demo.ended).toEqual([null, 'SIGINT']);
    expect(await machine()).toEqual(before);
    expect(labsOf(demo.pid)).toEqual([]);
    expect(labs.flatMap((lab) => processesOf(lab))).toEqual([]);
  });
});

test('KEEP=1 leaves the cluster up, and the commands that it prints work', async () => {
  const demo = startDemo({ KEEP: '1' });
  const [code] = await demo.ended;
  expect(code, demo.lines.join('\n') + demo.stderr()).toBe(0);
  const [call = '', allow = '', forbid = ''] = demo.commandsAfter(/alice\/client calls default\/web/);
  const [status = '', hooks = ''] = demo.commandsAfter(/How node-1 stands/);
  const said = (await shell(status)).stdout;
  expect(said).toMatch(/^policies +1$/m);
  expect(said).toMatch(new RegExp(`^backend +${backendUnderTest}\\b`, 'm'));
  expect((await shell(hooks)).stdout).toContain('"default/web-2"');
  expect((await shell(call)).exitCode).not.toBe(0);
  await shell(allow);
  await expect.poll(async () => (await shell(call)).stdout.trim(), { timeout: 10_000 }).toBe('default/web');
  await shell(forbid);
  await expect.poll(async () => (await shell(call)).exitCode, { timeout: 10_000 }).not.toBe(0);
});

function startDemo(environment: Readonly<Record<string, string>> = {}) {
  const run = spawn(process.execPath, ['scripts/demo.ts'], {
    cwd: join(import.meta.dirname, '../..'),
    env: { PATH: process.env['PATH'], BACKEND: backendUnderTest, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const pid = run.pid ?? 0;
  const lines: string[] = [];
  const said: string[] = [];
  const output = createInterface(run.stdout).on('line', (line) => lines.push(line));
  run.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const ended = once(run, 'close');
  onTestFinished(async () => {
    run.kill('SIGKILL');
    await ended;
    labsOf(pid).forEach(removeLab);
  });
  return {
    pid,
    lines,
    ended,
    stderr: () => said.join(''),
    /** Waits for a line; `false` if the demo ended without it. */
    sees: (pattern: RegExp) =>
      new Promise<boolean>((resolve) => {
        output.on('line', (line) => (pattern.test(line) ? resolve(true) : undefined));
        output.on('close', () => resolve(false));
      }),
    commandsAfter: (pattern: RegExp) => {
      const rest = lines.slice(lines.findIndex((line) => pattern.test(line)) + 1);
      return rest.slice(0, rest.indexOf('')).map((line) => line.trim());
    },
  };
}

/** Returns the labs whose owner is or was this process. */
function labsOf(pid: number): readonly string[] {
  return existsSync(LABS) ? readdirSync(LABS).filter((id) => id.startsWith(`${pid}.`)) : [];
}

async function shell(command: string) {
  const run = runner([], { PATH: process.env['PATH'] ?? '' });
  return run(['sh', '-c', command]);
}
