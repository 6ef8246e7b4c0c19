import * as fc from 'fast-check';
import { test } from 'vitest';
import { changesBetween, type Cluster } from '../../src/kube/cluster.ts';
import { clusterOf, namespace, pod, policy } from '../helpers/manifests.ts';

const OBJECTS = ['a', 'b', 'c'].flatMap((name) => [
  namespace(name),
  pod(`shop/${name}`, {}),
  policy(`shop/${name}`, {}),
]);
const [FIRST, SECOND] = [clusterOf(OBJECTS), clusterOf(OBJECTS)];

/** Some of the objects of each kind, of either of two clusters. */
const cluster: fc.Arbitrary<Cluster> = fc.record({
  namespaces: someOf(FIRST.namespaces, SECOND.namespaces),
  pods: someOf(FIRST.pods, SECOND.pods),
  policies: someOf(FIRST.policies, SECOND.policies),
});

function someOf<T>(
  first: ReadonlyMap<string, T>,
  second: ReadonlyMap<string, T>,
): fc.Arbitrary<ReadonlyMap<string, T>> {
  return fc
    .uniqueArray(fc.constantFrom(...first, ...second), { selector: ([key]) => key })
    .map((some) => new Map(some));
}

test('what differs between two states is named, and nothing else', ({ expect }) => {
  fc.assert(
    fc.property(cluster, cluster, (before, after) => {
      const changes = changesBetween(before, after);
      for (const kind of ['namespaces', 'pods', 'policies'] as const) {
        const all = [...FIRST[kind].keys()];
        const differing = all.filter((key) => before[kind].get(key) !== after[kind].get(key));
        expect(changes[kind]).toEqual(new Set(differing));
      }
    }),
  );
});
