import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Pod } from '../../../src/kube/pod.ts';
import type { Followed } from '../../../src/source/api/followed.ts';
import { KnownObjects } from '../../../src/source/api/knownObjects.ts';
import type { ToldAddresses } from '../../../src/source/api/nodeAddresses.ts';
import { PodAddresses } from '../../../src/source/api/podAddresses.ts';
import { PublishedObjects } from '../../../src/source/api/publishedObjects.ts';
import { clusterOf, pod, type PodFacts } from '../../helpers/manifests.ts';

/** Pods as an API shows them, and what nodes tell; both change step by step. */
class World {
  readonly known = new KnownObjects<Pod>();
  readonly told = new Map<string, ToldAddresses>();
  seen: ReadonlyMap<string, Pod> = new Map();
  #version = 10;
  #changedNodes = new Set<string>();

  put(name: string, { uid, ...facts }: PodFacts & { readonly uid: string }): void {
    const [one] = clusterOf([pod(`shop/${name}`, facts)]).pods.values();
    const version = `${(this.#version += 1)}`;
    this.known.put(`shop/${name}`, { object: { ...(one as Pod), uid }, version });
  }

  delete(name: string): void {
    this.known.delete(`shop/${name}`);
  }

  tell(nodeName: string, addresses: Readonly<Record<string, readonly string[]>>): void {
    this.#changedNodes.add(nodeName);
    const version = `${(this.#version += 1)}`;
    this.told.set(nodeName, { nodeName, addresses: new Map(Object.entries(addresses)), version });
  }

  /** Returns what is published of it, and what brings that up to date. */
  publisher(): { readonly published: PublishedObjects<Pod>; readonly update: () => void } {
    const published = new PublishedObjects<Pod>();
    const { known } = this;
    const sharing = {
      see: (pods: ReadonlyMap<string, Pod>) => (this.seen = pods),
      toldBy: (node: string) => (node === 'node-1' ? undefined : this.told.get(node)),
      takeChanged: () => this.#takeChanged(),
    };
    const pods = {
      objects: known.objects,
      changedIn: (key: string) => known.changedIn(key),
    } satisfies Partial<Followed<Pod>> as unknown as Followed<Pod>;
    const addresses = new PodAddresses({ pods, published: published.objects, sharing, nodeName: 'node-1' });
    return { published, update: () => published.update(addresses.update(known.takeChanged())) };
  }

  /** Everything counts as changed once more. */
  forget(): void {
    this.#changedNodes = new Set(this.told.keys());
    for (const [key, object] of Array.from(this.known.objects)) {
      const version = this.known.changedIn(key);
      this.known.delete(key);
      this.known.put(key, { object, version });
    }
  }

  #takeChanged(): ReadonlySet<string> {
    const changed = this.#changedNodes;
    this.#changedNodes = new Set();
    return changed;
  }
}

const address = fc.integer({ min: 1, max: 4 }).map((last) => `10.0.0.${last}`);
const uid = fc.constantFrom('uid-1', 'uid-2', 'uid-3');
const nodeName = fc.constantFrom('node-1', 'node-2', 'node-3', '');
const name = fc.constantFrom('a', 'b', 'c', 'd');
const facts = fc.record({
  uid,
  nodeName,
  addresses: fc.uniqueArray(address, { maxLength: 2 }),
  hostNetwork: fc.boolean(),
  phase: fc.constantFrom('Running', 'Running', 'Succeeded'),
});
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(name, facts).map(
      ([of, one]) =>
        (world: World) =>
          world.put(of, one),
    ),
  },
  { weight: 2, arbitrary: name.map((of) => (world: World) => world.delete(of)) },
  {
    weight: 3,
    arbitrary: fc.tuple(nodeName, fc.dictionary(uid, fc.uniqueArray(address, { minLength: 1, maxLength: 2 }))).map(
      ([node, tells]) =>
        (world: World) =>
          world.tell(node, tells),
    ),
  },
  { weight: 3, arbitrary: fc.constant('update' as const) },
);

test('pods say after every change what they would say if all were looked at, and who says something else is named', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const world = new World();
      const { published, update } = world.publisher();
      const mirror = new Map<string, Pod | undefined>();
      const differ: object[] = [];
      for (const one of steps)
        if (one === 'update') {
          update();
          for (const key of published.takeChanged()) mirror.set(key, published.objects.get(key));
          const named = new Map([...mirror].filter(([, object]) => object !== undefined));
          if (!isDeepStrictEqual(named, published.objects))
            differ.push({ named, published: new Map(published.objects) });
        } else one(world);
      expect(differ).toEqual([]);
      update();
      const own = [...world.known.objects.values()].filter((one) => one.nodeName === 'node-1');
      expect(new Set(world.seen.keys())).toEqual(new Set(own.map((one) => one.uid)));
      world.forget();
      const fresh = world.publisher();
      fresh.update();
      expect(published.objects).toEqual(fresh.published.objects);
    }),
    { numRuns: 300 },
  );
});

function given(): World {
  const world = new World();
  world.put('late', { uid: 'uid-1', nodeName: 'node-2' });
  world.put('gone', { uid: 'uid-2', nodeName: 'node-2', addresses: ['10.0.0.1'] });
  world.put('elsewhere', { uid: 'uid-3', nodeName: 'node-3', addresses: ['10.0.0.1'] });
  world.put('nowhere', { uid: 'uid-1', nodeName: '' });
  return world;
}

test('a node speaks for its own pods, and takes nothing from those of another node', () => {
  const world = given();
  world.tell('node-2', { 'uid-1': ['10.0.0.1'], 'uid-3': ['10.0.0.9'] });
  world.tell('', { 'uid-1': ['10.0.0.9'] });
  const { published, update } = world.publisher();
  update();
  const addresses = Object.fromEntries(Array.from(published.objects.values(), (one) => [one.name, one.addresses]));
  expect(addresses).toEqual({ late: ['10.0.0.1'], gone: [], elsewhere: ['10.0.0.1'], nowhere: [] });
});

test('what a node tells no more is forgotten, and other pods are not looked at', () => {
  const world = given();
  const { published, update } = world.publisher();
  update();
  published.takeChanged();
  world.tell('node-2', { 'uid-1': ['10.0.0.1'] });
  update();
  expect([...published.takeChanged()].toSorted()).toEqual(['shop/gone', 'shop/late']);
  world.tell('node-2', {});
  update();
  expect([...published.takeChanged()].toSorted()).toEqual(['shop/gone', 'shop/late']);
  expect(published.objects).toEqual(world.known.objects);
});
