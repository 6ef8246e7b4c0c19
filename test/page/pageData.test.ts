import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Cluster } from '../../src/kube/cluster.ts';
import { clusterFromJson, clusterJson } from '../../src/page/clusterJson.ts';
import { LIVE, liveFromJson, liveJson, snapshotFromJson, snapshotJson } from '../../src/page/pageData.ts';
import { applied } from '../../src/policy/applied.ts';
import { clusterManifests } from '../helpers/arbitraries.ts';
import { clusterOf, pod } from '../helpers/manifests.ts';

/** A cluster without what no verdict depends on, and which a page does not get. */
function seen({ namespaces, pods, policies }: Cluster): Cluster {
  const known = [...pods].map(([key, each]) => [key, { ...each, uid: undefined, staticPodHash: undefined }] as const);
  return { namespaces, policies, pods: new Map(known) };
}

test('a page has the cluster that was written', () => {
  const survives = fc.property(clusterManifests, (manifests) => {
    const cluster = clusterOf(manifests);
    expect(clusterFromJson(JSON.parse([...clusterJson(cluster)].join('')))).toEqual(seen(cluster));
  });
  fc.assert(survives, { numRuns: 200 });
});

test('what is after a change is written as the objects that differ, and is whole again in the page', () => {
  const survives = fc.property(clusterManifests, clusterManifests, (manifests, changes) => {
    const before = clusterOf(manifests);
    const { namespaces, pods, policies } = clusterOf(changes);
    const cluster = applied(before, [...namespaces.values(), ...pods.values(), ...policies.values()]);
    const options = { ports: [{ port: 80, protocol: 'TCP' }], namespaces: ['alpha'] } as const;
    const after = { cluster, places: new Map([['a/b', 'change.yaml:1']]), source: 'change' };
    const snapshot = { source: 'dir:x', options, before, places: new Map([['a/b', 'x.yaml:7']]), after };
    const read = snapshotFromJson(JSON.parse(snapshotJson(snapshot)));
    expect(read).toMatchObject({ source: 'dir:x', options, places: snapshot.places });
    expect(read?.before).toEqual(seen(before));
    expect(read?.after?.cluster).toEqual(seen(cluster));
    expect(read?.after?.places).toEqual(after.places);
  });
  fc.assert(survives, { numRuns: 100 });
});

test('a thousand pods are written in portions, and labels and ports that many share once', () => {
  const ports = [{ name: 'http', containerPort: 8080 }];
  const pods = Array.from({ length: 1200 }, (_, index) =>
    pod(`shop/web-${index}`, { labels: { app: 'a-web-app' }, ports }),
  );
  const portions = [...clusterJson(clusterOf(pods))];
  expect(portions.length).toBeGreaterThan(4);
  expect(Math.max(...portions.map(({ length }) => length))).toBeLessThan(30_000);
  expect(portions.join('').split('a-web-app')).toHaveLength(2);
});

test('where every pod has labels of its own, they are written in portions too', () => {
  const pods = Array.from({ length: 1200 }, (_, index) =>
    pod(`shop/web-${index}`, { labels: { pod: `web-${index}` } }),
  );
  const portions = [...clusterJson(clusterOf(pods))];
  expect(Math.max(...portions.map(({ length }) => length))).toBeLessThan(40_000);
});

test('the cluster is that of the moment at which writing began, whatever comes and goes meanwhile', () => {
  const cluster = clusterOf(Array.from({ length: 1200 }, (_, index) => pod(`shop/web-${index}`, {})));
  const pods = new Map(cluster.pods);
  const portions = clusterJson({ ...cluster, pods });
  const first = portions.next().value;
  pods.clear();
  expect(clusterFromJson(JSON.parse([first, ...portions].join(''))).pods.size).toBe(1200);
});

test("an agent's view says whose it is", () => {
  const cluster = clusterOf([pod('shop/web', {})]);
  const view = { node: 'node-1', isPartial: true, away: null };
  const read = liveFromJson(JSON.parse([...liveJson({ ...view, source: 'kube:x', cluster })].join('')));
  expect(read).toMatchObject({ ...view, snapshot: { source: 'kube:x' } });
  expect(read?.snapshot.before).toEqual(seen(cluster));
});

test('a page that asks has no snapshot, and what is no view is none', () => {
  expect(snapshotFromJson(JSON.parse(LIVE))).toBeUndefined();
  expect(liveFromJson({ something: 'else' })).toBeUndefined();
});
