import { beforeEach, describe, expect, test } from 'vitest';
import { HOOK_CHAINS, podHookRules, withHooks } from '../../../src/rules/iptables/hooks.ts';
import { JUMPS, STANDING_CHAINS } from '../../../src/rules/iptables/entryChains.ts';
import type { PodHooks, PodJudgements } from '../../../src/rules/pod.ts';
import {
  addPod,
  deletePod,
  deleteRemains,
  ensureStanding,
  podChainNames,
  restoreText,
} from '../../../src/rules/iptables/podRestore.ts';
import { RefusedError, RestoreTable } from '../../helpers/restoreTable.ts';

const web: PodHooks = {
  containerId: 'b1946ac92492d2347c6235b4d2611184',
  ifName: 'eth0',
  namespace: 'shop',
  name: 'web-0',
  addresses: ['10.244.1.10', 'fd00:10:244:1::10'],
  hostInterface: 'veth1a2b3c4d',
  bridged: true,
};
const db: PodHooks = { ...web, containerId: 'db', name: 'db', addresses: ['10.244.1.11'], hostInterface: 'veth5' };

const MARK = { value: 0x30000, mask: 0xffff0000 };
const judgements: PodJudgements = { ingress: { kind: 'quarantine' }, egress: { kind: 'open' } };
const added = { family: 'ipv4', judgements, mark: MARK, replaced: undefined } as const;
const standing = ensureStanding({
  family: 'ipv4',
  mark: { ...MARK, value: 0x20000 },
  chains: new Set(),
  jumps: new Set(),
});

let table: RestoreTable;
beforeEach(() => {
  table = new RestoreTable();
  table.commit(['-A FORWARD -j DROP', ...standing]);
});

test('the standing chains and jumps, from nothing', () => {
  expect(restoreText(standing)).toMatchInlineSnapshot(`
    "*filter
    -N NWPLCY-REJECT
    -N NWPLCY-REJECT-EGRESS
    -N NWPLCY-REJECT-INGRESS
    -N NWPLCY-AUDIT-EGRESS
    -N NWPLCY-AUDIT-INGRESS
    -N NWPLCY-PROFILES
    -N NWPLCY-SOURCES
    -N NWPLCY-EGRESS
    -N NWPLCY-INGRESS
    -N KUBE-NWPLCY-CHAIN
    -A NWPLCY-REJECT -m conntrack --ctstate INVALID -j DROP
    -A NWPLCY-REJECT -p tcp -m conntrack --ctstate NEW -m conntrack --ctstate DNAT -j REJECT --reject-with icmp-port-unreachable
    -A NWPLCY-REJECT -p tcp -j REJECT --reject-with tcp-reset
    -A NWPLCY-REJECT -j REJECT --reject-with icmp-port-unreachable
    -A NWPLCY-REJECT-EGRESS -g NWPLCY-REJECT
    -A NWPLCY-REJECT-INGRESS -g NWPLCY-REJECT
    -A NWPLCY-AUDIT-EGRESS -j RETURN
    -A NWPLCY-AUDIT-INGRESS -j RETURN
    -A NWPLCY-EGRESS -g NWPLCY-SOURCES
    -A KUBE-NWPLCY-CHAIN -m connmark --mark 0x20000/0xffff0000 -j RETURN
    -A KUBE-NWPLCY-CHAIN -m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN
    -A KUBE-NWPLCY-CHAIN -j NWPLCY-EGRESS
    -A KUBE-NWPLCY-CHAIN -j NWPLCY-INGRESS
    -A KUBE-NWPLCY-CHAIN -j CONNMARK --set-xmark 0x20000/0xffff0000
    -A KUBE-NWPLCY-CHAIN -j RETURN
    -I FORWARD -j KUBE-NWPLCY-CHAIN
    -I OUTPUT -m addrtype ! --src-type LOCAL -j KUBE-NWPLCY-CHAIN
    COMMIT
    "
  `);
});

describe('of the standing chains and jumps only what is missing is brought up', () => {
  const jumps = new Set(['FORWARD', 'OUTPUT'] as const);

  test('nothing is missing', () => {
    expect(ensureStanding({ family: 'ipv4', mark: MARK, chains: new Set(STANDING_CHAINS), jumps })).toEqual([]);
  });

  test('a jump is missing', () => {
    const chains = new Set(STANDING_CHAINS);
    expect(ensureStanding({ family: 'ipv4', mark: MARK, chains, jumps: new Set(['OUTPUT']) })).toEqual([
      `-I FORWARD ${JUMPS.FORWARD}`,
    ]);
  });

  test.for(STANDING_CHAINS)('%s is missing', (missing) => {
    const chains = new Set(STANDING_CHAINS.filter((name) => name !== missing));
    const lines = ensureStanding({ family: 'ipv6', mark: MARK, chains, jumps });
    expect(lines[0]).toBe(`-N ${missing}`);
    expect(lines.slice(1).filter((line) => !line.startsWith(`-A ${missing} `))).toEqual([]);
  });

  test('of two writers that both found a chain missing the second is refused', () => {
    expect(() => table.commit(standing)).toThrow(RefusedError);
  });
});

test('ADD is one transaction', () => {
  expect(restoreText(addPod(web, added))).toMatchInlineSnapshot(`
    "*filter
    :NWPLCY-PI-W7WF6VPKXPOYIYGO5S - [0:0]
    :NWPLCY-PE-W7WF6VPKXPOYIYGO5S - [0:0]
    -A NWPLCY-PI-W7WF6VPKXPOYIYGO5S -s 10.244.1.10/32 -j RETURN
    -A NWPLCY-PI-W7WF6VPKXPOYIYGO5S -g NWPLCY-REJECT-INGRESS
    -A NWPLCY-PE-W7WF6VPKXPOYIYGO5S -d 10.244.1.10/32 -j RETURN
    -A NWPLCY-PE-W7WF6VPKXPOYIYGO5S -s 10.244.1.10/32 -j RETURN
    -A NWPLCY-PE-W7WF6VPKXPOYIYGO5S -j DROP
    -I NWPLCY-EGRESS -m physdev --physdev-in veth1a2b3c4d -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    -I NWPLCY-SOURCES -s 10.244.1.10/32 -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    -I NWPLCY-INGRESS -d 10.244.1.10/32 -m comment --comment "shop/web-0" -g NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    -I KUBE-NWPLCY-CHAIN -j RETURN
    -I KUBE-NWPLCY-CHAIN -j CONNMARK --set-xmark 0x30000/0xffff0000
    -I KUBE-NWPLCY-CHAIN -j NWPLCY-INGRESS
    -I KUBE-NWPLCY-CHAIN -j NWPLCY-EGRESS
    -I KUBE-NWPLCY-CHAIN -m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN
    -I KUBE-NWPLCY-CHAIN -m connmark --mark 0x30000/0xffff0000 -j RETURN
    COMMIT
    "
  `);
});

test('DEL is one transaction', () => {
  expect(restoreText(deletePod(web, { family: 'ipv6', place: 'head' }))).toMatchInlineSnapshot(`
    "*filter
    -D NWPLCY-EGRESS -m physdev --physdev-in veth1a2b3c4d -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    -D NWPLCY-SOURCES -s fd00:10:244:1::10/128 -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    -D NWPLCY-INGRESS -d fd00:10:244:1::10/128 -m comment --comment "shop/web-0" -g NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    -F NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    -X NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    -F NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    -X NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    COMMIT
    "
  `);
});

test('ADD and DEL leave everything as it was but the generation', () => {
  const before = structuredClone(new Map(table.chains));
  table.commit(addPod(web, added));
  table.commit(addPod(db, added));
  table.commit(deletePod(web, { family: 'ipv4', place: 'head' }));
  table.commit(deletePod(db, { family: 'ipv4', place: 'head' }));
  before.set('KUBE-NWPLCY-CHAIN', [...table.rules('KUBE-NWPLCY-CHAIN')]);
  expect(new Map(table.chains)).toEqual(before);
  expect(table.rules('KUBE-NWPLCY-CHAIN')[0]).toBe('-m connmark --mark 0x30000/0xffff0000 -j RETURN');
});

test('ADD without the standing chains is refused', () => {
  expect(() => new RestoreTable().commit(addPod(web, added))).toThrow(RefusedError);
});

test('ADD to a profile that is gone is refused', () => {
  const profile = { kind: 'profile', chain: 'NWPLCY-AAAAAAAAAAAAAAAAAAAA' } as const;
  const lines = addPod(web, { ...added, judgements: { ingress: profile, egress: profile } });
  expect(() => table.commit(lines)).toThrow('no chain "NWPLCY-AAAAAAAAAAAAAAAAAAAA"');
});

test('what ADD does to the chains of hooks is known without running it', () => {
  table.commit(addPod(db, added));
  const before = structuredClone(new Map(table.chains));
  table.commit(addPod(web, added));
  const hooks = Map.groupBy(podHookRules(web, 'ipv4'), ({ chain }) => chain);
  expect([...hooks.keys()]).toEqual(HOOK_CHAINS);
  for (const [chain, put] of hooks) expect(table.rules(chain)).toEqual(withHooks(before.get(chain) ?? [], put));
});

test('DEL finds hooks in their buckets where it is told to, and nowhere else', () => {
  table.commit(addPod(web, added));
  const buckets = podHookRules(web, 'ipv4').map(({ chain, rule, bucket }) => [
    `:${bucket?.name} - [0:0]`,
    `-A ${bucket?.name} ${rule}`,
    `-A ${chain} ${bucket?.jump}`,
    `-D ${chain} ${rule}`,
  ]);
  table.commit(buckets.flat());
  expect(() => table.commit(deletePod(web, { family: 'ipv4', place: 'head' }))).toThrow('no such rule in the chain');
  table.commit(deletePod(web, { family: 'ipv4', place: 'bucket' }));
  expect([...table.chains.values()].flat().filter((rule) => rule.includes('shop/web-0'))).toEqual([]);
});

describe('ADD that comes twice', () => {
  test('replaces the hooks and empties the chains first', () => {
    table.commit(addPod(web, added));
    table.commit(addPod(db, added));
    const moved = { ...web, addresses: ['10.244.1.99'], hostInterface: 'veth9' };
    table.commit(addPod(moved, { ...added, replaced: web }));
    const fresh = new RestoreTable();
    fresh.commit(['-A FORWARD -j DROP', ...standing, ...addPod(db, added)]);
    fresh.commit(addPod(moved, added));
    // But for the generations: the one has seen more of them.
    const others = (some: RestoreTable) => [...some.chains].filter(([name]) => name !== 'KUBE-NWPLCY-CHAIN');
    const sorted = (some: RestoreTable) => new Map(others(some).map(([name, rules]) => [name, rules.toSorted()]));
    expect(sorted(table)).toEqual(sorted(fresh));
  });

  test('is refused when the hooks that it would replace are not there', () => {
    expect(() => table.commit(addPod(web, { ...added, replaced: web }))).toThrow('no such rule in the chain');
  });
});

describe('DEL', () => {
  test('is refused as a whole when any part of the pod is missing', () => {
    table.commit(addPod(web, added));
    const [hook] = table.rules('NWPLCY-INGRESS');
    table.commit([`-D NWPLCY-INGRESS ${hook}`]);
    const before = structuredClone(new Map(table.chains));
    expect(() => table.commit(deletePod(web, { family: 'ipv4', place: 'head' }))).toThrow(RefusedError);
    expect(new Map(table.chains)).toEqual(before);
  });

  const remains = () => {
    const chains = new Set(table.chains.keys());
    return deleteRemains(web, { hookRules: table.chains, chains });
  };

  test.for([
    { what: 'a whole pod', damage: [] },
    { what: 'a pod without hooks', damage: ['-F NWPLCY-EGRESS', '-F NWPLCY-INGRESS'] },
    {
      what: 'a pod that is hooked in twice',
      damage: addPod({ ...web, addresses: ['10.9.9.9', '10.244.1.10'] }, added).filter((line) =>
        / -g NWPLCY-P[IE]-/.test(line),
      ),
    },
    {
      what: 'a pod with one chain',
      damage: ['-F NWPLCY-INGRESS', `-F ${podChainNames(web)[0]}`, `-X ${podChainNames(web)[0]}`],
    },
  ])('by name takes out what is left of $what, and of nobody else', ({ damage }) => {
    table.commit(addPod(web, added));
    table.commit(damage);
    if (damage.every((line) => line !== '-F NWPLCY-EGRESS')) table.commit(addPod(db, added));
    const others = structuredClone(new Map(table.chains));
    table.commit(remains());
    for (const name of podChainNames(web)) others.delete(name);
    for (const [name, rules] of others)
      others.set(
        name,
        rules.filter((rule) => !podChainNames(web).some((own) => rule.endsWith(own))),
      );
    expect(new Map(table.chains)).toEqual(others);
  });

  test('by name of a pod that is not there has nothing to do', () => {
    expect(remains()).toEqual([]);
  });
});
