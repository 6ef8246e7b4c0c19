import { mkdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { NftMonitor } from '../../../src/dataplane/nftables/monitor.ts';
import { FakeNft } from '../../helpers/fakeNft.ts';
import { TemporaryDirectory } from '../../helpers/temporaryDirectory.ts';

const TO = `to-${'A'.repeat(18)}`;
const FROM = `from-${'B'.repeat(18)}`;
const PEERS = `peers4-${'C'.repeat(20)}`;
const END = '# new generation 330 by process 5100 (nft)';

// As nft 1.0.6 prints them.
const STRANGE = 'delete rule inet kube-nwplcy refuse handle 12';
const OF_ADD = [
  `add chain inet kube-nwplcy ${TO}`,
  `add rule inet kube-nwplcy ${TO} handle 2768 ip saddr 10.201.3.133 return`,
  `add chain inet kube-nwplcy ${FROM}`,
  `add element inet kube-nwplcy ingress4 { 10.201.3.133 comment "ns/pod" : goto ${TO} }`,
  `add element inet kube-nwplcy egress6 { fd00::5 comment "ns/pod" : goto ${FROM} }`,
  'add element bridge kube-nwplcy interfaces { "veth1" }',
  'add element inet kube-nwplcy sources4 { "veth1" . 10.201.3.133 }',
  'insert rule inet kube-nwplcy judged handle 2770 return',
  'insert rule inet kube-nwplcy settle handle 2772 ct mark set ct mark & 0x0001ffff | 0x00010000',
];

let fake: FakeNft;
let monitor: NftMonitor;
const onStrange = vi.fn<() => void>();

beforeEach(async () => {
  onStrange.mockClear();
  fake = await FakeNft.start();
  monitor = new NftMonitor(onStrange);
  await fake.monitored(1);
});
afterEach(() => {
  monitor.stop();
  fake.stop();
});

/** Makes the monitor print lines, and returns how often it has called back once all of them were heard. */
async function callsAfter(...lines: readonly string[]): Promise<number> {
  fake.say([...lines, '# ERR: the last line']);
  await vi.waitFor(() => expect(onStrange).toHaveBeenCalled());
  return onStrange.mock.calls.length - 1;
}

describe('a transaction that nobody has announced', () => {
  test.for([
    STRANGE,
    'add chain inet kube-nwplcy mine',
    'add rule inet kube-nwplcy judged handle 9 accept',
    `insert rule inet kube-nwplcy ${TO} handle 9 accept`,
    `add rule inet kube-nwplcy ${TO} handle 9 accept`,
    'insert rule inet kube-nwplcy judged handle 9 accept',
    'add element inet kube-nwplcy ingress4 { 10.201.3.133 : accept }',
    `delete chain inet kube-nwplcy ${TO}`,
    `delete element inet kube-nwplcy ingress4 { 10.201.3.133 comment "ns/pod" : goto ${TO} }`,
    `add element inet kube-nwplcy ${PEERS} { 10.0.0.1 }`,
    `add element inet kube-nwplcy ingress4x { 10.0.0.1 : accept }`,
    'add set bridge kube-nwplcy mine { type ipv4_addr; }',
    'delete table bridge kube-nwplcy',
    'add table inet kube-nwplcy',
  ])('is strange: %s', async (line) => {
    expect(await callsAfter(line, END)).toBe(1);
    onStrange.mockClear();
    expect(await callsAfter(...OF_ADD, line, END)).toBe(1);
  });

  test('is not when it is an ADD’s', async () => {
    expect(await callsAfter(...OF_ADD, END)).toBe(0);
    for (const line of OF_ADD) {
      onStrange.mockClear();
      expect(await callsAfter(line, END), line).toBe(0);
    }
  });

  test('is nobody’s business in other tables', async () => {
    const lines = [
      'add table inet kube-proxy',
      'add rule ip filter FORWARD handle 4 accept',
      'add chain inet kube-nwplcy2 x',
    ];
    expect(await callsAfter(...lines, END)).toBe(0);
  });

  test('is told once, however many lines it has', async () => {
    expect(await callsAfter(STRANGE, STRANGE, STRANGE, END, STRANGE, END)).toBe(2);
  });
});

describe('a transaction of our own', () => {
  const OWN = ['delete chain inet kube-nwplcy mine'];

  test('is not strange, and one more is', async () => {
    expect(monitor.expect(OWN)).toBe(true);
    expect(await callsAfter(STRANGE, END, STRANGE, END)).toBe(1);
  });

  test('is not mistaken for an ADD’s that is told of before it', async () => {
    monitor.expect(OWN);
    expect(await callsAfter(...OF_ADD, END, STRANGE, END)).toBe(0);
  });

  test('is waited for no more once it is taken back, or a look was taken', async () => {
    monitor.expect(OWN);
    monitor.unexpect();
    monitor.expect(OWN);
    monitor.reset();
    expect(await callsAfter(STRANGE, END)).toBe(1);
  });

  test('is overdue half a second after it was done, unless it was heard of', async () => {
    const now = vi.spyOn(performance, 'now').mockReturnValue(1000);
    monitor.expect(OWN);
    monitor.confirm();
    expect(monitor.isOverdue).toBe(false);
    now.mockReturnValue(1501);
    expect(monitor.isOverdue).toBe(true);
    now.mockRestore();
    await callsAfter(STRANGE, END);
    expect(monitor.isOverdue).toBe(false);
  });

  test('is not waited for when it may be that only an ADD’s lines are told of it', () => {
    const chain = `inet kube-nwplcy ${TO}`;
    const made = [
      `add chain ${chain} { comment "to ns/pod"; }`,
      `flush chain ${chain}`,
      `add rule ${chain} goto refuse-egress`,
    ];
    expect(monitor.expect(made)).toBe(false);
    // What is emptied may have been empty.
    expect(monitor.expect(made.slice(1))).toBe(false);
    expect(monitor.expect([...made, 'flush chain inet kube-nwplcy judged'])).toBe(true);
  });
});

describe('a monitor that ends', () => {
  test('is started again; what happened meanwhile is strange, also what did until the new one hears', async () => {
    expect(monitor.isAlive).toBe(true);
    monitor.expect(['delete chain inet kube-nwplcy mine']);
    fake.endMonitors();
    await vi.waitFor(() => expect(onStrange).toHaveBeenCalledTimes(1));
    expect(monitor.isAlive).toBe(false);
    await fake.monitored(2);
    expect([monitor.isAlive, onStrange.mock.calls.length]).toEqual([true, 2]);
    // What was announced to the earlier one, this one will not hear of.
    onStrange.mockClear();
    expect(await callsAfter(STRANGE, END)).toBe(1);
  });

  test('is not started again when it was stopped', async () => {
    monitor.stop();
    await vi.waitFor(() => expect(monitor.isAlive).toBe(false));
    expect([fake.monitorStarts, onStrange.mock.calls.length]).toEqual([1, 0]);
  });

  test('is tried again where nft cannot be started', async () => {
    using directory = new TemporaryDirectory();
    const path = process.env['PATH'];
    process.env['PATH'] = directory.path;
    mkdirSync(directory.file('nft'));
    const other = vi.fn<() => void>();
    const without = new NftMonitor(other);
    await vi.waitFor(() => expect(other).toHaveBeenCalled());
    expect(without.isAlive).toBe(false);
    process.env['PATH'] = path;
    await fake.monitored(2);
    expect(without.isAlive).toBe(true);
    without.stop();
  });
});
