import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Cluster } from '../../../src/kube/cluster.ts';
import { apiServerSource } from '../../../src/source/api/apiServerSource.ts';
import { configMapOf } from '../../../src/source/api/nodeAddresses.ts';
import type { Source } from '../../../src/source/source.ts';
import { ApiDouble, connectionTo, until } from '../../helpers/apiDouble.ts';
import { namespace, pod, policy, type Manifest } from '../../helpers/manifests.ts';

type Step = (world: { readonly api: ApiDouble; readonly source: Source }) => unknown;

const name = fc.constantFrom('a', 'b', 'c');
const labels = fc.constantFrom({ app: 'x' }, { app: 'y' }, {});

/** Some of them are none that can be used. */
const podManifest = fc
  .record({ of: name, labels, phase: fc.constantFrom('Running', 'Running', 'Dreaming'), nodeName: nodes() })
  .map(({ of, ...facts }) => withUid(pod(`shop/${of}`, facts), `uid-${of}`));
const manifest = fc.oneof(
  { weight: 3, arbitrary: podManifest },
  { weight: 1, arbitrary: fc.tuple(name, labels).map(([of, given]) => namespace(of, given)) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(name, fc.constantFrom([], [{}], [{ unknown: [] }]))
      .map(([of, ingress]) => policy(`shop/${of}`, { podSelector: {}, policyTypes: ['Ingress'], ingress })),
  },
);
const told = fc
  .tuple(nodes(), fc.dictionary(fc.constantFrom('uid-a', 'uid-b', 'uid-c'), fc.constantFrom(['10.0.0.1'], ['fd00::1'])))
  .map(([nodeName, addresses]) => configMapOf({ nodeName, addresses: new Map(Object.entries(addresses)) }));
const deletion = fc.tuple(fc.constantFrom('Namespace', 'Pod', 'NetworkPolicy', 'ConfigMap'), name).map(
  ([kind, of]): Step =>
    ({ api }) =>
      api.delete(kind, keyFor(kind, of)),
);
const listing = fc.constantFrom<Step>(
  ({ source }) => source.refresh(),
  // What was missed is listed anew.
  ({ api }) => {
    api.hold();
    api.cut();
  },
  ({ api }) => {
    api.compact();
    api.release();
  },
  () => new Promise((resolve) => setTimeout(resolve, 5)),
);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: manifest.map(
      (one): Step =>
        ({ api }) =>
          api.put(one),
    ),
  },
  {
    weight: 2,
    arbitrary: told.map(
      (one): Step =>
        ({ api }) =>
          api.put(one),
    ),
  },
  { weight: 3, arbitrary: deletion },
  { weight: 4, arbitrary: listing },
);

function nodes(): fc.Arbitrary<string> {
  return fc.constantFrom('node-1', 'node-2', 'node-3');
}

function withUid(of: Manifest, uid: string): Manifest {
  return { ...of, metadata: { ...(of['metadata'] as object), uid } };
}

function keyFor(kind: string, of: string): string {
  if (kind === 'Namespace') return of;
  return kind === 'ConfigMap' ? `kube-nwplcy/node-${{ a: 1, b: 2, c: 3 }[of] ?? 0}` : `shop/${of}`;
}

function sourceOf(api: ApiDouble): Source {
  return apiServerSource({
    connection: connectionTo(api),
    nodeName: 'node-1',
    pods: 'all',
    shareAddresses: true,
    warn: () => {},
  });
}

/** Follows a source by the keys that it names alone. */
class Mirror {
  readonly cluster = {
    namespaces: new Map<string, unknown>(),
    pods: new Map<string, unknown>(),
    policies: new Map<string, unknown>(),
  };

  take(source: Source): void {
    const changes = source.takeChanges();
    const { cluster } = source.state();
    for (const kind of ['namespaces', 'pods', 'policies'] as const)
      for (const key of changes[kind]) {
        const now = cluster[kind].get(key);
        if (now === undefined) this.cluster[kind].delete(key);
        else this.cluster[kind].set(key, now);
      }
  }
}

test(
  'whatever happens, all that changes is named, and what is held in the end is what another source would hold',
  { timeout: 60_000 },
  async () => {
    const property = fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      await using api = await ApiDouble.start();
      api.put(namespace('kube-nwplcy'));
      const [source, fresh] = [sourceOf(api), sourceOf(api)];
      const mirror = new Mirror();
      const differs: Cluster[] = [];
      await source.start(() => {
        mirror.take(source);
        if (!isDeepStrictEqual(mirror.cluster, source.state().cluster)) differs.push(source.state().cluster);
      });
      try {
        for (const one of steps) await one({ api, source });
        api.release();
        await fresh.start(() => {});
        await until(() => fresh.state().inSync);
        await until(() => {
          const [{ cluster, problems }, other] = [source.state(), fresh.state()];
          return (
            isDeepStrictEqual(cluster, other.cluster) && isDeepStrictEqual(new Set(problems), new Set(other.problems))
          );
        });
        expect(differs).toEqual([]);
        expect(mirror.cluster).toEqual(source.state().cluster);
      } finally {
        await Promise.all([source.stop(), fresh.stop()]);
      }
    });
    await fc.assert(property, { numRuns: 60 });
  },
);
