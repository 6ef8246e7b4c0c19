import { afterEach, beforeEach, expect, test } from 'vitest';
import { CommandError } from '../../../src/dataplane/commandError.ts';
import { countIpsetMembers, readIpsets, restoreIpsets } from '../../../src/dataplane/iptables/ipset.ts';
import { recordSetLines } from '../../../src/rules/iptables/endChains.ts';
import { setName } from '../../../src/rules/names.ts';
import { FakeNetfilter } from '../../helpers/fakeNetfilter.ts';

const [ONE, TWO] = [setName('ipv4', 'one'), setName('ipv6', 'two')] as const;

let fake: FakeNetfilter;
beforeEach(async () => {
  fake = await FakeNetfilter.start();
  fake.sets.restore([
    'create FOREIGN hash:ip family inet maxelem 10',
    'add FOREIGN 10.0.0.1',
    `create ${ONE} hash:ip,port family inet maxelem 10`,
    `add ${ONE} 10.0.0.1,tcp:80`,
    `add ${ONE} 10.0.0.2,udp:53`,
    `create ${TWO} hash:net family inet6 maxelem 10`,
    `add ${TWO} fd00::1 nomatch`,
  ]);
});
afterEach(() => fake.stop());

test('our sets are read, and nobody else’s', async () => {
  expect(await readIpsets()).toEqual(
    new Map([
      [ONE, { type: 'hash:ip,port', members: new Set(['10.0.0.1,tcp:80', '10.0.0.2,udp:53']) }],
      [TWO, { type: 'hash:net', members: new Set(['fd00::1 nomatch']) }],
    ]),
  );
});

test('our sets are counted, and nobody else’s', async () => {
  fake.sets.restore(recordSetLines({ kind: 'denied', direction: 'egress', family: 'ipv4' }));
  expect(await countIpsetMembers()).toEqual({
    peers: new Map([
      [ONE, 2],
      [TWO, 1],
    ]),
    records: new Map([
      ['NWPLCY4-DENIED-EGRESS', 0],
      ['NWPLCY4-DENIED-EGRESS-LAST', 0],
    ]),
  });
});

test('no sets at all', async () => {
  fake.sets.restore(['destroy FOREIGN', `destroy ${ONE}`, `destroy ${TWO}`]);
  expect([await readIpsets(), await countIpsetMembers()]).toEqual([
    new Map(),
    { peers: new Map(), records: new Map() },
  ]);
});

test('lines are run in one go, no lines not at all', async () => {
  await restoreIpsets([`add ${ONE} 10.0.0.3,tcp:80`, `destroy ${TWO}`]);
  await restoreIpsets([]);
  expect(fake.runs).toEqual([
    { program: 'ipset', args: ['restore', '-exist'], input: `add ${ONE} 10.0.0.3,tcp:80\ndestroy ${TWO}\n` },
  ]);
  expect(fake.sets.sets.has(TWO)).toBe(false);
});

test('a refusal tells the command and the reason', async () => {
  const refusal: unknown = await restoreIpsets(['add NONE 10.0.0.1']).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(CommandError);
  expect(String(refusal)).toBe(
    'CommandError: Cannot run "ipset restore -exist": exit code 1, ipset v7.17: Error in line 1: The set with the given name does not exist',
  );
});

test('a program that is not installed is named', async () => {
  process.env['PATH'] = '/nowhere';
  await expect(readIpsets()).rejects.toMatchObject({
    name: 'CommandError',
    message: 'Cannot run "ipset save": ENOENT',
    code: 'ENOENT',
    exitCode: undefined,
  });
});
