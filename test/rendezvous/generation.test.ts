import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { claimGeneration, currentGeneration } from '../../src/rendezvous/generation.ts';
import { makeRuntimeDir } from '../../src/rendezvous/runtimeDir.ts';

// /run is a tmpfs; listing one while its files are renamed is another thing than listing a disk.
const MEMORY = '/dev/shm';

let runtimeDir: string;
beforeEach(() => {
  runtimeDir = mkdtempSync(join(MEMORY, 'generation-'));
});
afterEach(() => rmSync(runtimeDir, { recursive: true }));

describe('a generation', () => {
  test('is one more than the last, and stays claimed', () => {
    const first = claimGeneration(runtimeDir);
    expect([claimGeneration(runtimeDir), claimGeneration(runtimeDir)]).toEqual([first + 1, first + 2]);
    expect(currentGeneration(runtimeDir)).toBe(first + 2);
    expect(readdirSync(`${runtimeDir}/generation`)).toEqual([`${first + 2}`]);
  });

  test('is unknown before the first was claimed', () => {
    expect(currentGeneration(runtimeDir)).toBeUndefined();
    makeRuntimeDir(runtimeDir);
    expect(currentGeneration(runtimeDir)).toBeUndefined();
  });

  test.for([
    { what: 'its file is gone', lose: () => rmSync(`${runtimeDir}/generation/${currentGeneration(runtimeDir)}`) },
    { what: 'its directory is gone', lose: () => rmSync(`${runtimeDir}/generation`, { recursive: true }) },
    { what: 'everything is gone', lose: () => rmSync(runtimeDir, { recursive: true }) },
  ])('begins at the clock when $what, and so never again where it once was', ({ lose }) => {
    const before = Date.now();
    const claimed = Array.from({ length: 5 }, () => claimGeneration(runtimeDir));
    // A counter gains on the clock by no more than the claims of a millisecond.
    const until = Date.now() + claimed.length;
    while (Date.now() <= until);
    lose();
    const next = claimGeneration(runtimeDir);
    expect(
      [claimed[0], next].every((number) => number !== undefined && number > before && number <= Date.now() + 1),
    ).toBe(true);
    expect(next).toBeGreaterThan(Math.max(...claimed));
  });

  test('that has no counter where its place is taken is an error', () => {
    mkdirSync(`${runtimeDir}/generation`);
    writeFileSync(`${runtimeDir}/generation/x`, '');
    expect(() => claimGeneration(runtimeDir)).toThrow(
      `Cannot claim a generation: "${runtimeDir}/generation" holds no counter; remove it`,
    );
    expect(readdirSync(runtimeDir).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('goes on from the highest file, and looks at no file that is not a number', () => {
    mkdirSync(`${runtimeDir}/generation`);
    for (const name of ['41', '7', '-99', '1e9', '0x50', '9999999999999999', '.50', '50~', ' 60'])
      writeFileSync(`${runtimeDir}/generation/${name}`, '');
    expect(claimGeneration(runtimeDir)).toBe(42);
  });

  test('is kept in a file that root alone may see', () => {
    claimGeneration(runtimeDir);
    const [name] = readdirSync(`${runtimeDir}/generation`);
    const modes = [`${runtimeDir}/generation`, `${runtimeDir}/generation/${name}`].map(
      (path) => statSync(path).mode & 0o777,
    );
    expect(modes).toEqual([0o700, 0o600]);
  });

  test('that cannot be claimed is an error: nobody may go on without one', () => {
    writeFileSync(`${runtimeDir}/generation`, '');
    expect(() => claimGeneration(runtimeDir)).toThrow('ENOTDIR');
  });
});

// Each process claims in one directory after the other; the clock brings them there together, so that they also begin together.
const CLAIMER = `
import { claimGeneration } from ${JSON.stringify(new URL('../../src/rendezvous/generation.ts', import.meta.url).href)};
const [root, rounds, each] = process.argv.slice(1);
process.stdout.write('ready\\n');
process.stdin.once('data', (start) => {
  const claimed = [];
  for (let round = 0; round < Number(rounds); round += 1) {
    while (Date.now() < Number(start) + round * 4);
    for (let count = 0; count < Number(each); count += 1) claimed.push(round + ':' + claimGeneration(root + '/' + round));
  }
  process.stdout.write(claimed.join('\\n'), () => process.exit(0));
});
`;

interface Rounds {
  readonly root: string;
  readonly rounds: number;
  readonly each: number;
}

/** Starts processes that all claim at once, and returns what each of them got, as \`round:generation\`. */
async function claimAtOnce(processes: number, { root, rounds, each }: Rounds): Promise<readonly (readonly string[])[]> {
  const args = ['--input-type=module', '-e', CLAIMER, root, String(rounds), String(each)];
  const children = Array.from({ length: processes }, () =>
    spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  await Promise.all(children.map((child) => once(child.stdout, 'readable')));
  const start = Date.now() + 50;
  for (const child of children) child.stdin.end(String(start));
  const outputs = await Promise.all(children.map((child) => text(child.stdout)));
  return outputs.map((output) => output.trim().split('\n').slice(1));
}

describe('processes that claim at once never get the same generation', () => {
  test.for([
    { what: 'when they all begin, in memory', root: MEMORY, rounds: 150, each: 3 },
    { what: 'when they all begin, on a disk', root: tmpdir(), rounds: 100, each: 3 },
    { what: 'later on', root: MEMORY, rounds: 1, each: 300 },
  ])('$what', { timeout: 30_000 }, async ({ root: parent, rounds, each }) => {
    const root = mkdtempSync(join(parent, 'generation-'));
    const claims = await claimAtOnce(6, { root, rounds, each });
    const counters = readdirSync(root).map((round) => readdirSync(`${root}/${round}/generation`).length);
    rmSync(root, { recursive: true });
    expect(claims.map(({ length }) => length)).toEqual(Array(6).fill(rounds * each));
    expect(new Set(claims.flat()).size).toBe(6 * rounds * each);
    // Of several that begin at once one does.
    expect(new Set(counters)).toEqual(new Set([1]));
  });
});
