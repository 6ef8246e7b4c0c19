import { setTimeout as sleep } from 'node:timers/promises';
import { ApiDouble } from '../test/helpers/apiDouble.ts';
import type { Manifest } from '../test/lab/manifests.ts';
import { monotonicMs } from '../test/lab/probe/clock.ts';
import { largeCluster, LOCAL_PODS, remotePod, type ClusterSize } from './madeUp.ts';
import { serve } from './remote.ts';

// An API server on a node, which lists and watches as one does and holds what it is told, in memory.

export interface ApiProgramApi {
  /** Opens and returns the URL. */
  open(request: null): Promise<string>;
  /** Puts objects in place and returns when the last one was. */
  put(objects: readonly Manifest[]): number;
  delete(object: { readonly kind: string; readonly key: string }): number;
  /** Puts a large cluster in place. */
  fill(size: ClusterSize): void;
  /** Returns when the first request came, or `undefined`. */
  firstRequestAt(request: null): number | undefined;
  /** Changes pods of other nodes, so many times a second for so long, and returns how many times it did. */
  churn(request: ChurnRequest): Promise<number>;
  /** Returns what a URL of this network namespace answers. */
  fetch(url: string): Promise<string>;
}

export interface ChurnRequest extends ClusterSize {
  readonly perSecond: number;
  readonly seconds: number;
  /** Which pods: any, or those alone that no policy of a local pod names. */
  readonly which: 'any' | 'unnamed';
}

let api: ApiDouble | undefined;
let firstRequestAt: number | undefined;

serve<ApiProgramApi>({
  async open() {
    api = await ApiDouble.start();
    api.onRequest = () => {
      firstRequestAt ??= monotonicMs();
      // Nobody reads the log of requests here, and it would grow.
      opened().log.length = 0;
    };
    return api.url;
  },
  put(objects) {
    const at = monotonicMs();
    for (const object of objects) opened().put(object);
    return at;
  },
  delete({ kind, key }) {
    const at = monotonicMs();
    opened().delete(kind, key);
    return at;
  },
  fill(size) {
    for (const object of largeCluster(size)) opened().put(object);
    // Nobody watches yet who could want to know how it came to this.
    opened().compact();
  },
  firstRequestAt: () => firstRequestAt,
  churn,
  fetch: async (url) => (await fetch(url)).text(),
});

function opened(): ApiDouble {
  if (api === undefined) throw new Error('Cannot use the API server: it is not open');
  return api;
}

/** Half of the changes give a pod another tier and another address; the others remove one and put it back. Unnamed pods get another address. */
async function churn(request: ChurnRequest): Promise<number> {
  const { perSecond, seconds, pods, which } = request;
  const started = monotonicMs();
  let done = 0;
  for (; monotonicMs() < started + seconds * 1000; await sleep(1))
    for (; done < ((monotonicMs() - started) * perSecond) / 1000; done += 1) {
      const index = ((done >> 1) * 7919) % (pods - LOCAL_PODS);
      if (which === 'unnamed') putUnnamed(index, { ...request, turn: done });
      else if (done % 4 === 2) opened().delete('Pod', keyOf(remotePod(index, request)));
      else opened().put(remotePod(index, { ...request, turn: 1 + (done % 40) }));
    }
  // Who watches has been told: nobody asks for it again.
  opened().compact();
  return done;
}

/** Policies of local pods name the tiers "web" and "cache". */
function putUnnamed(index: number, options: { readonly namespaces: number; readonly turn: number }): void {
  const pod = remotePod(index, { namespaces: options.namespaces });
  const address = `10.99.${options.turn & 0xff}.${index & 0xff}`;
  const labels = { app: 'nobody', tier: 'db' };
  opened().put({
    ...pod,
    metadata: { ...pod.metadata, labels },
    status: { phase: 'Running', podIPs: [{ ip: address }] },
  });
}

function keyOf({ metadata }: Manifest): string {
  return `${metadata.namespace}/${metadata.name}`;
}
