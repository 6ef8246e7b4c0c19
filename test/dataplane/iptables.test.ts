import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CommandError } from '../../src/dataplane/commandError.ts';
import { Iptables } from '../../src/dataplane/iptables.ts';
import { JUMPS, STANDING_CHAINS } from '../../src/rules/entryChains.ts';
import { ensureStanding } from '../../src/rules/podRestore.ts';
import { FakeNetfilter, type Ending, type Run } from '../helpers/fakeNetfilter.ts';

const STANDING = {
  family: 'ipv4',
  mark: '0x10000/0xffff0000',
  chains: new Set<string>(),
  jumps: new Set<never>(),
} as const;

let fake: FakeNetfilter;
let table: Iptables;
beforeEach(async () => {
  fake = await FakeNetfilter.start();
  fake.tables.ipv4.commit([
    '-A FORWARD -j DROP',
    ...ensureStanding(STANDING),
    '-N OTHER',
    '-A OTHER -j DROP',
    '-N NWPLCY-PI-A',
    '-A NWPLCY-PI-A -j RETURN',
  ]);
  table = new Iptables('ipv4', 'iptables-nft');
});
afterEach(() => fake.stop());

describe('a look', () => {
  test('asks for our chains by name, all in one process, and for no other', async () => {
    const { chains, jumps } = await table.read(['NWPLCY-PI-A']);
    expect([...chains.keys()]).toEqual([...STANDING_CHAINS, 'NWPLCY-PI-A']);
    expect(chains.get('NWPLCY-PI-A')).toEqual(['-j RETURN']);
    expect(jumps).toEqual({ FORWARD: { count: 1, inPlace: true }, OUTPUT: { count: 1, inPlace: true } });
    const asked = ['FORWARD', 'OUTPUT', ...STANDING_CHAINS, 'NWPLCY-PI-A'].map((name) => `-S ${name}\n`);
    expect(fake.runs).toEqual([
      {
        program: 'iptables-nft-restore',
        args: ['--noflush', '--wait', '5'],
        input: `*filter\n${asked.join('')}COMMIT\n`,
      },
    ]);
  });

  test('sees each rule once, however often its chain is named', async () => {
    const { chains } = await table.read([...STANDING_CHAINS, 'NWPLCY-PI-A', 'NWPLCY-PI-A']);
    expect([chains.get('NWPLCY-PI-A'), chains.get('NWPLCY-REJECT')?.length]).toEqual([['-j RETURN'], 3]);
  });

  test('finds what is there when something is missing', async () => {
    fake.tables.ipv4.commit([`-D OUTPUT ${JUMPS.OUTPUT}`]);
    const { chains, jumps } = await table.read(['NWPLCY-PI-GONE', 'NWPLCY-PI-A']);
    expect([...chains.keys()]).toEqual([...STANDING_CHAINS, 'NWPLCY-PI-A']);
    expect(jumps).toEqual({ FORWARD: { count: 1, inPlace: true }, OUTPUT: { count: 0, inPlace: false } });
  });

  test('finds nothing where nothing of ours is', async () => {
    const { chains, jumps } = await new Iptables('ipv6', 'iptables-nft').read(['NWPLCY-PI-A']);
    expect([chains, jumps]).toEqual([
      new Map(),
      { FORWARD: { count: 0, inPlace: false }, OUTPUT: { count: 0, inPlace: false } },
    ]);
  });

  test('tells a jump that is not first in FORWARD', async () => {
    fake.tables.ipv4.commit(['-I FORWARD -j ACCEPT', '-I OUTPUT -j ACCEPT', `-A OUTPUT ${JUMPS.OUTPUT}`]);
    expect((await table.read([])).jumps).toEqual({
      FORWARD: { count: 1, inPlace: false },
      OUTPUT: { count: 2, inPlace: true },
    });
  });

  // iptables-nft cannot print a chain in which somebody put what it has no word for.
  test.for([
    { what: 'is there', jump: true, state: { count: 1, inPlace: true } },
    { what: 'is not there', jump: false, state: { count: 0, inPlace: false } },
  ])('at a FORWARD that cannot be printed still tells whether our jump $what', async ({ jump, state }) => {
    if (!jump) fake.tables.ipv4.commit([`-D FORWARD ${JUMPS.FORWARD}`]);
    const isOfForward = ({ input, args }: Run) => input.includes('-S FORWARD\n') || args.includes('FORWARD');
    const incompatible = (run: Run): Ending | undefined =>
      isOfForward(run)
        ? {
            exitCode: 1,
            stderr: "iptables v1.8.9 (nf_tables): chain `FORWARD' in table `filter' is incompatible, use 'nft' tool.\n",
          }
        : undefined;
    for (let count = 0; count < 3; count += 1) fake.failNext(incompatible);
    const { jumps, chains } = await table.read([]);
    expect([jumps.FORWARD, chains.size]).toEqual([state, STANDING_CHAINS.length]);
  });

  test('that fails for another reason is an error', async () => {
    fake.failNext(() => ({
      exitCode: 4,
      stderr: 'iptables-nft-restore: Could not fetch rule set generation id: Permission denied (you must be root)\n',
    }));
    await expect(table.read([])).rejects.toThrow(
      'exit code 4, iptables-nft-restore: Could not fetch rule set generation id: Permission denied (you must be root)',
    );
  });
});

describe('a transaction', () => {
  test('is committed as it stands', async () => {
    await table.restore(['-N NWPLCY-PI-B', '-A NWPLCY-PI-B -j RETURN']);
    expect(fake.tables.ipv4.rules('NWPLCY-PI-B')).toEqual(['-j RETURN']);
    expect(fake.runs).toEqual([
      {
        program: 'iptables-nft-restore',
        args: ['--noflush', '--wait', '5'],
        input: '*filter\n-N NWPLCY-PI-B\n-A NWPLCY-PI-B -j RETURN\nCOMMIT\n',
      },
    ]);
  });

  test.for([
    'iptables-nft-restore: line 4 failed: Resource temporarily unavailable.',
    'Another app is currently holding the xtables lock; still 3s 0us time ahead to have a chance to grab the lock...\nAnother app is currently holding the xtables lock. Stopped waiting after 5s.',
  ])('is tried again while another writer is in the way: %s', async (stderr) => {
    fake.failNext(() => ({ exitCode: 4, stderr }));
    fake.failNext(() => ({ exitCode: 4, stderr }));
    await table.restore(['-N NWPLCY-PI-B']);
    expect([fake.runs.length, fake.tables.ipv4.chains.has('NWPLCY-PI-B')]).toEqual([3, true]);
  });

  test('that is refused is not tried again', async () => {
    await expect(table.restore(['-N NWPLCY-PI-A'])).rejects.toBeInstanceOf(CommandError);
    expect(fake.runs.length).toBe(1);
  });

  test('that never gets through ends with the reason', async () => {
    const stderr = 'iptables-nft-restore: line 4 failed: Resource temporarily unavailable.';
    for (let count = 0; count < 21; count += 1) fake.failNext(() => ({ exitCode: 4, stderr }));
    await expect(table.restore(['-N NWPLCY-PI-B'])).rejects.toThrow(`exit code 4, ${stderr}`);
  });

  // The nft variant begins with its name, and with a warning where legacy tables are in use too.
  test('that fails in several lines tells the reason among them', async () => {
    fake.failNext(() => ({
      exitCode: 4,
      stderr:
        '# Warning: iptables-legacy tables present, use iptables-legacy to see them\niptables-nft-restore v1.8.9 (nf_tables): \nline 3: CHAIN_DEL failed (Device or resource busy): chain C\n',
    }));
    await expect(table.restore(['-X C'])).rejects.toThrow(
      'Cannot run "iptables-nft-restore --noflush --wait 5": exit code 4, iptables-nft-restore v1.8.9 (nf_tables): line 3: CHAIN_DEL failed (Device or resource busy): chain C',
    );
  });
});
