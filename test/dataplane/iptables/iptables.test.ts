import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CommandError } from '../../../src/dataplane/commandError.ts';
import { Iptables } from '../../../src/dataplane/iptables/iptables.ts';
import { JUMPS, STANDING_CHAINS } from '../../../src/rules/iptables/entryChains.ts';
import { ensureStanding } from '../../../src/rules/iptables/podRestore.ts';
import { FakeNetfilter } from '../../helpers/fakeNetfilter.ts';

const STANDING = {
  family: 'ipv4',
  mark: { value: 0x10000, mask: 0xffff0000 },
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
    expect([chains.get('NWPLCY-PI-A'), chains.get('NWPLCY-REJECT')?.length]).toEqual([['-j RETURN'], 4]);
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

  // iptables-nft cannot print a chain in which somebody put what it has no word for; sometimes it cannot even find a rule there.
  const UNPRINTABLE =
    "iptables v1.8.9 (nf_tables): chain `FORWARD' in table `filter' is incompatible, use 'nft' tool.\n";
  const UNREADABLE = 'Error: cmp sreg undef\niptables v1.8.9 (nf_tables): Parsing nftables rule failed\n';
  const RIGHT = { count: 1, inPlace: true };
  const MISSING = { count: 0, inPlace: false };
  const AHEAD = '-I FORWARD -j ACCEPT';
  const GONE = `-D FORWARD ${JUMPS.FORWARD}`;

  test.for<{ what: string; change: string[]; find?: 'fails'; nft?: 'absent'; state: object }>([
    { what: 'our jump is first', change: [], state: RIGHT },
    { what: 'our jump is first, and there is no nft', change: [], nft: 'absent', state: RIGHT },
    { what: 'our jump is missing', change: [GONE], state: MISSING },
    { what: 'our jump is missing, and there is no nft', change: [GONE], nft: 'absent', state: MISSING },
    { what: 'somebody else comes first', change: [AHEAD], state: { count: 1, inPlace: false } },
    { what: 'our jump is first, and cannot be found', change: [], find: 'fails', state: RIGHT },
    { what: 'our jump is missing, and cannot be looked for', change: [GONE], find: 'fails', state: MISSING },
    // It cannot be deleted either.
    { what: 'our jump is behind a rule that cannot be read', change: [AHEAD], find: 'fails', state: MISSING },
    { what: 'nobody can tell', change: [AHEAD], find: 'fails', nft: 'absent', state: RIGHT },
  ])('at a FORWARD that cannot be printed tells where our jump stands: $what', async ({ change, find, nft, state }) => {
    fake.tables.ipv4.commit(change);
    for (let count = 0; count < 2; count += 1)
      fake.failNext(({ input }) => (input.includes('-S FORWARD\n') ? { exitCode: 1, stderr: UNPRINTABLE } : undefined));
    if (find === 'fails')
      fake.failNext(({ input }) => (input.includes('-C FORWARD') ? { exitCode: 3, stderr: UNREADABLE } : undefined));
    if (nft === 'absent') fake.failNext(({ program }) => (program === 'nft' ? { exitCode: 127 } : undefined));
    const { jumps, chains } = await table.read([]);
    expect([jumps.FORWARD, chains.size]).toEqual([state, STANDING_CHAINS.length]);
  });

  test.for([
    { what: 'is there', change: ['-I OUTPUT -j ACCEPT'], state: RIGHT },
    { what: 'is missing', change: [`-D OUTPUT ${JUMPS.OUTPUT}`], state: MISSING },
  ])('at an OUTPUT that cannot be read tells that our jump $what', async ({ change, state }) => {
    fake.tables.ipv4.commit(change);
    const printed = `-P FORWARD ACCEPT\n-A FORWARD ${JUMPS.FORWARD}\n`;
    for (const stdout of [printed, '']) fake.failNext(() => ({ exitCode: 1, stdout, stderr: UNPRINTABLE }));
    fake.failNext(({ input }) => (input.includes('-C OUTPUT') ? { exitCode: 3, stderr: UNREADABLE } : undefined));
    expect((await table.read([])).jumps.OUTPUT).toEqual(state);
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
