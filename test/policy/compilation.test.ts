import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changesBetween, NO_OBJECTS, type Cluster, type ClusterChanges } from '../../src/kube/cluster.ts';
import { Compilation, compile } from '../../src/policy/compile.ts';
import type { Isolation, NodePolicy, PeerGroup } from '../../src/policy/model.ts';
import { clusterManifests } from '../helpers/arbitraries.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../helpers/manifests.ts';

const NODE = 'node-1';
const RUNS = 100;

/** What a cluster is to become: of each object in either the new state or the old one, whether it is there or not. */
interface Step {
  readonly cluster: Cluster;
  readonly picks: Readonly<Record<keyof Cluster, readonly Pick[]>>;
}

/** `equal`: the old state, in another object. */
type Pick = 'old' | 'new' | 'equal';

const KINDS = ['namespaces', 'pods', 'policies'] as const;

// Pods change more often than what looks at them.
const laterSteps: fc.Arbitrary<Step> = fc.record({
  cluster: clusterManifests.map(clusterOf),
  picks: fc.record({ namespaces: picks(6), pods: picks(3), policies: picks(8) }),
});
const steps: fc.Arbitrary<readonly Step[]> = fc
  .tuple(clusterManifests.map(clusterOf), fc.array(laterSteps, { maxLength: 6 }))
  .map(([cluster, later]) => [{ cluster, picks: { namespaces: ['new'], pods: ['new'], policies: ['new'] } }, ...later]);

function picks(weightOfOld: number): fc.Arbitrary<readonly Pick[]> {
  const pick = fc.oneof(
    { weight: weightOfOld, arbitrary: fc.constant('old' as const) },
    { weight: 2, arbitrary: fc.constantFrom('new' as const, 'equal' as const) },
  );
  return fc.array(pick, { minLength: 10, maxLength: 10 });
}

function stepped(before: Cluster, { cluster, picks: picked }: Step): Cluster {
  const mixed = <T>(kind: keyof Cluster, old: ReadonlyMap<string, T>, made: ReadonlyMap<string, T>) => {
    const keys = [...new Set([...old.keys(), ...made.keys()])];
    const objects = keys.map((key, index) => {
      const pick = picked[kind][index % picked[kind].length];
      if (pick === 'new') return [key, made.get(key)] as const;
      return [key, pick === 'old' ? old.get(key) : structuredClone(old.get(key))] as const;
    });
    return new Map(objects.flatMap(([key, object]) => (object === undefined ? [] : [[key, object] as const])));
  };
  return {
    namespaces: mixed('namespaces', before.namespaces, cluster.namespaces),
    pods: mixed('pods', before.pods, cluster.pods),
    policies: mixed('policies', before.policies, cluster.policies),
  };
}

/** Whatever order it is in. */
function contentOf({ pods, peerGroups }: NodePolicy): unknown {
  return {
    pods: new Map([...pods].map(([key, { ingress, egress }]) => [key, [allowsOf(ingress), allowsOf(egress)]])),
    peerGroups: new Map([...peerGroups].map(([key, group]) => [key, groupContent(group)])),
  };
}

function allowsOf(isolation: Isolation): readonly string[] | 'open' {
  if (isolation.kind === 'open') return 'open';
  return [isolation.kind, ...isolation.allows.map((allow) => JSON.stringify(allow)).toSorted()];
}

function groupContent(group: PeerGroup): readonly string[] {
  const items: Iterable<unknown> = group.kind === 'networks' ? group.blocks : group.members;
  return [group.kind, ...[...items].map((item) => JSON.stringify(item)).toSorted()];
}

/** What is remembered of a state, since its members change. */
interface Seen {
  readonly policy: NodePolicy;
  readonly groups: ReadonlyMap<string, readonly string[]>;
}

function seen(nodePolicy: NodePolicy): Seen {
  return {
    policy: nodePolicy,
    groups: new Map([...nodePolicy.peerGroups].map(([key, group]) => [key, groupContent(group)])),
  };
}

/** Calls `check` with the state before and after each of the steps. */
function followed(
  list: readonly Step[],
  check: (before: Seen, after: NodePolicy, cluster: Cluster) => void,
): NodePolicy {
  const compilation = new Compilation(NODE);
  let cluster = NO_OBJECTS;
  let before = seen(compilation.update(cluster, changesBetween(cluster, cluster)));
  for (const step of list) {
    const next = stepped(cluster, step);
    const after = compilation.update(next, changesBetween(cluster, next));
    check(before, after, next);
    cluster = next;
    before = seen(after);
  }
  return compilation.update(NO_OBJECTS, changesBetween(cluster, NO_OBJECTS));
}

describe('after any changes', { timeout: 60_000 }, () => {
  const holds = (check: Parameters<typeof followed>[1]) =>
    fc.assert(
      fc.property(steps, (list) => {
        followed(list, check);
      }),
      { numRuns: RUNS },
    );

  test('the answer is what it would be from scratch', () => {
    holds((_, after, cluster) => {
      expect(contentOf(after)).toEqual(contentOf(compile(cluster, NODE)));
    });
  });

  test('what is the same is the same object', () => {
    holds(({ policy: before, groups }, after) => {
      const { groups: groupsAfter } = seen(after);
      for (const [key, { ingress, egress }] of after.pods) {
        const was = before.pods.get(key);
        if (was === undefined) continue;
        const [sameIn, sameOut] = [isEqual(ingress, was.ingress), isEqual(egress, was.egress)];
        expect([ingress === was.ingress, egress === was.egress]).toEqual([sameIn, sameOut]);
        expect(after.pods.get(key) === was).toBe(sameIn && sameOut);
      }
      const [same, different] = both(before.peerGroups, after.peerGroups, Object.is);
      const isAsBefore = (key: string) => groupsAfter.get(key)?.join() === groups.get(key)?.join();
      expect([same.filter((key) => !isAsBefore(key)), different.filter(isAsBefore)]).toEqual([[], []]);
      const samePods = hasSameEntries(before.pods, after.pods);
      const sameGroups = hasSameEntries(before.peerGroups, after.peerGroups);
      expect([after.pods === before.pods, after.peerGroups === before.peerGroups, after === before]).toEqual([
        samePods,
        sameGroups,
        samePods && sameGroups,
      ]);
    });
  });

  test('each group’s members came from those of before as it says', () => {
    holds(({ policy: before, groups }, after) => {
      for (const [key, group] of after.peerGroups) {
        const was = before.peerGroups.get(key);
        if (group.kind === 'networks' || group === was) continue;
        const members = groups.get(key)?.slice(1);
        expect(group.since?.version).toBe(was === undefined || was.kind === 'networks' ? undefined : was.version);
        if (group.since === undefined || members === undefined) continue;
        const { added, removed } = group.since;
        const texts = (list: readonly unknown[]) => new Set(list.map((member) => JSON.stringify(member)));
        const present = new Set(members);
        expect([texts(added).intersection(present).size, texts(removed).difference(present).size]).toEqual([0, 0]);
        const now = present.difference(texts(removed)).union(texts(added));
        expect([...now].toSorted()).toEqual(groupContent(group).slice(1));
        expect(group.members.size).toBe(now.size);
      }
    });
  });

  test('the groups are those that the pods’ isolations name', () => {
    holds((_, { pods, peerGroups }) => {
      const allows = [...pods.values()]
        .flatMap(({ ingress, egress }) => [ingress, egress])
        .flatMap((isolation) => (isolation.kind === 'open' ? [] : isolation.allows));
      const named = allows.flatMap(({ peers }) => (peers.kind === 'group' ? [peers.key] : []));
      expect([...peerGroups.keys()].toSorted()).toEqual([...new Set(named)].toSorted());
    });
  });

  test('nothing is left of a cluster whose objects are gone', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const { pods, peerGroups } = followed(list, () => {});
        expect([pods.size, peerGroups.size]).toEqual([0, 0]);
      }),
    );
  });

  test('no two states of groups have one version', () => {
    const objects = new Map<number, PeerGroup>();
    holds((_, { peerGroups }) => {
      for (const group of peerGroups.values()) {
        if (group.kind === 'networks') continue;
        expect(objects.get(group.version) ?? group).toBe(group);
        objects.set(group.version, group);
      }
    });
  });

  test('keys that are named for nothing change nothing', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const compilation = new Compilation(NODE);
        const cluster = list.reduce(stepped, NO_OBJECTS);
        const before = compilation.update(cluster, changesBetween(NO_OBJECTS, cluster));
        expect(compilation.update(cluster, changesBetween(NO_OBJECTS, cluster))).toBe(before);
        expect(compilation.update(cluster, nothingKnown)).toBe(before);
      }),
    );
  });
});

const nothingKnown: ClusterChanges = {
  namespaces: new Set(['none']),
  pods: new Set(['none/none']),
  policies: new Set(['none/none']),
};

function isEqual(a: Isolation, b: Isolation): boolean {
  return JSON.stringify(allowsOf(a)) === JSON.stringify(allowsOf(b));
}

/** Returns the keys that both have, those of values that are alike first. */
function both<T>(
  a: ReadonlyMap<string, T>,
  b: ReadonlyMap<string, T>,
  isAlike: (a: T | undefined, b: T | undefined) => boolean,
): readonly [readonly string[], readonly string[]] {
  const keys = [...a.keys()].filter((key) => b.has(key));
  const isAlikeAt = (key: string) => isAlike(a.get(key), b.get(key));
  return [keys.filter(isAlikeAt), keys.filter((key) => !isAlikeAt(key))];
}

function hasSameEntries<T>(a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}

// A walk that met nothing but strangers would prove nothing.
test('the generated changes keep, change, add and take away groups', () => {
  const found = { kept: 0, changed: 0, came: 0, went: 0 };
  for (const list of fc.sample(steps, { numRuns: 100, seed: 1 }))
    followed(list, ({ policy: { peerGroups: before } }, { peerGroups: after }) => {
      const [kept, changed] = both(before, after, Object.is);
      found.kept += kept.length;
      found.changed += changed.length;
      found.came += after.size - kept.length - changed.length;
      found.went += before.size - kept.length - changed.length;
    });
  expect(Math.min(...Object.values(found))).toBeGreaterThan(20);
});

describe('one change', () => {
  const allowWeb = { podSelector: {}, ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }] }] };
  const WORLD: readonly Manifest[] = [
    namespace('shop'),
    pod('shop/a', { addresses: ['10.0.0.1'], ports: [{ name: 'http', containerPort: 80 }] }),
    pod('shop/b', { addresses: ['10.0.0.2'], ports: [{ name: 'other', containerPort: 80 }] }),
    pod('shop/web', { labels: { app: 'web' }, addresses: ['10.0.1.1'], nodeName: 'node-2' }),
    policy('shop/p', allowWeb),
  ];

  function changed(...manifests: readonly Manifest[]) {
    const [was, is] = [clusterOf(WORLD), clusterOf(manifests)];
    const next = Object.fromEntries(
      KINDS.map((kind) => [kind, new Map<string, unknown>([...was[kind], ...is[kind]])]),
    ) as unknown as Cluster;
    const compilation = new Compilation(NODE);
    const before = compilation.update(was, changesBetween(NO_OBJECTS, was));
    return { before, after: compilation.update(next, changesBetween(was, next)) };
  }

  test('of a policy into an equal one is none', () => {
    const { before, after } = changed(policy('shop/p', allowWeb));
    expect(after).toBe(before);
  });

  test('of a policy for one direction leaves the other', () => {
    const { before, after } = changed(policy('shop/p', { ...allowWeb, policyTypes: ['Ingress', 'Egress'] }));
    const [was, is] = [before.pods.get('shop/a'), after.pods.get('shop/a')];
    expect([is === was, is?.ingress === was?.ingress, is?.egress.kind]).toEqual([false, true, 'isolated']);
  });

  test('of a pod of this node into one of another', () => {
    const { after } = changed(pod('shop/a', { addresses: ['10.0.0.1'], nodeName: 'node-2' }));
    expect([...after.pods.keys()]).toEqual(['shop/b']);
  });

  test('of a pod that nobody names is none', () => {
    const { before, after } = changed(pod('shop/c', { addresses: ['10.0.1.2'], nodeName: 'node-2' }));
    expect(after).toBe(before);
  });

  test('named ports that no rule names do not tell pods apart', () => {
    const { before } = changed();
    expect(before.pods.get('shop/a')?.ingress).toBe(before.pods.get('shop/b')?.ingress);
  });
});
