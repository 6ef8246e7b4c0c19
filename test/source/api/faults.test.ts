import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { apiServerSource } from '../../../src/source/api/apiServerSource.ts';
import type { Source } from '../../../src/source/source.ts';
import { ApiDouble, connectionTo, until, type Streaming } from '../../helpers/apiDouble.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../../helpers/manifests.ts';

type Action =
  | { readonly kind: 'put'; readonly manifest: Manifest }
  | { readonly kind: 'delete'; readonly of: string; readonly key: string }
  | { readonly kind: 'cutWithin'; readonly manifest: Manifest }
  | { readonly kind: 'refuse'; readonly code: number }
  | { readonly kind: (typeof PLAIN)[number] };

const PLAIN = [
  'refresh',
  'lookFor',
  'cut',
  'break',
  'compact',
  'restart',
  'hold',
  'release',
  'bookmark',
  'wait',
] as const;

const name = fc.constantFrom('a', 'b', 'c');
const labels = fc.constantFrom({ app: 'x' }, { app: 'y', duck: 'quack' }, {});
const addresses = fc.constantFrom([], ['10.0.0.1']);
const podManifest = fc
  .tuple(name, labels, addresses)
  .map(([of, given, ips]) => pod(`shop/${of}`, { labels: given, addresses: ips }));
const manifest = fc.oneof(
  podManifest,
  fc.tuple(name, labels).map(([of, given]) => namespace(of, given)),
  fc.tuple(name, labels).map(([of, matchLabels]) => policy(`shop/${of}`, { podSelector: { matchLabels } })),
);
const deletion = fc
  .tuple(fc.constantFrom('Namespace', 'Pod', 'NetworkPolicy'), name)
  .map(([of, one]) => ({ kind: 'delete', of, key: of === 'Namespace' ? one : `shop/${one}` }) as const);
const refusal = fc.constantFrom(401, 403, 410, 429, 500, 503, 504).map((code) => ({ kind: 'refuse', code }) as const);

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: manifest.map((one) => ({ kind: 'put', manifest: one }) as const) },
  { weight: 3, arbitrary: deletion },
  { weight: 1, arbitrary: podManifest.map((one) => ({ kind: 'cutWithin', manifest: one }) as const) },
  { weight: 1, arbitrary: refusal },
  { weight: 8, arbitrary: fc.constantFrom(...PLAIN).map((kind) => ({ kind })) },
);

const world = fc.record({
  streaming: fc.constantFrom<Streaming>('supported', 'refused', 'refusedLater'),
  goneAs: fc.constantFrom('status' as const, 'event' as const),
  pageSize: fc.constantFrom(1, 2, Infinity),
});

async function act(one: Action, { api, source }: { readonly api: ApiDouble; readonly source: Source }): Promise<void> {
  switch (one.kind) {
    case 'put':
      return void api.put(one.manifest);
    case 'delete':
      return api.delete(one.of, one.key);
    case 'cutWithin':
      return api.cutWithin(one.manifest, 'shop');
    case 'refuse': {
      let isDone = false;
      api.refuse = () => {
        if (isDone) return undefined;
        isDone = true;
        return { code: one.code, retryAfter: '0.02' };
      };
      return undefined;
    }
    case 'refresh':
      return void source.refresh().catch(() => {});
    case 'lookFor':
      for (const of of ['a', 'b', 'c']) source.lookFor?.({ namespace: 'shop', name: of });
      return undefined;
    case 'cut':
      return api.cut();
    case 'break':
      return api.cut('broken');
    case 'compact':
      return api.compact();
    case 'restart':
      await api.close();
      return api.open();
    case 'hold':
      return api.hold();
    case 'release':
      return api.release();
    case 'bookmark':
      return api.bookmark();
    case 'wait':
      await pause(3);
  }
}

test(
  'once the server is well the source knows what the server knows, whatever happened and was asked before',
  { timeout: 60_000 },
  async () => {
    const property = fc.asyncProperty(
      world,
      fc.array(action, { maxLength: 40 }),
      fc.boolean(),
      async (faults, actions, asks) => {
        await using api = Object.assign(await ApiDouble.start(), faults);
        const source = apiServerSource({
          connection: connectionTo(api),
          nodeName: 'node-1',
          pods: 'needed',
          shareAddresses: false,
          warn: () => {},
        });
        await source.start(() => {});
        try {
          for (const one of actions) await act(one, { api, source });
          api.release();
          // Whether it asks or waits, it learns all there is.
          if (asks) await source.refresh();
          const expected = clusterOf(api.objects);
          await until(() => asks || (source.state().inSync && isDeepStrictEqual(source.state().cluster, expected)));
          expect(source.state()).toMatchObject({ cluster: expected, inSync: true, problems: [] });
          await until(() => source.state().away === undefined);
        } finally {
          await source.stop();
        }
      },
    );
    await fc.assert(property, { numRuns: 60 });
  },
);
