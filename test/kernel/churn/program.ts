import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from '../../../bench/remote.ts';
import { ApiDouble } from '../../helpers/apiDouble.ts';
import type { Manifest } from '../../helpers/manifests.ts';
import { heldBy, type Held } from './agentProcess.ts';
import { ChurnedCluster, type OwnPod } from './cluster.ts';
import { Random } from './random.ts';

// An API server in a node's network namespace, in memory, whose objects come and go.

export interface ChurnApi {
  /** Opens, without objects, and returns the URL. */
  open(request: { readonly seed: number }): Promise<string>;
  /** Lets so many events happen at least, with faults between them. */
  churn(request: { readonly events: number }): Promise<void>;
  /** Makes the cluster as large as a settled one is, and all pods of other nodes running. */
  settle(request: null): void;
  schedule(request: null): OwnPod;
  tell(request: OwnPod & { readonly phase: string; readonly addresses: readonly string[] }): void;
  deleteOwn(pod: OwnPod): void;
  /** Deletes everything that was made here. */
  clear(request: null): void;
  /** Returns all objects. */
  objects(request: null): readonly Manifest[];
  /** Returns what a program of Node's holds in memory and open. */
  held(request: { readonly pid: number }): Promise<Held>;
}

/** So many things happen at once, and then nothing for so long. */
const AT_ONCE = 20;
const PAUSE_MS = 15;
/** Once in so many of these the server, or a connection to it, has a fault. */
const BETWEEN_FAULTS = 100;
/** Watches from before so many events cannot go on: not all that is told meanwhile is kept. */
const KEPT_EVENTS = 500;
const AWAY_MS = 100;

const api = await ApiDouble.start();
// Nobody reads the log of requests here, and it would grow.
api.onRequest = () => {
  api.log.length = 0;
};
api.pageSize = 60;
let made: ChurnedCluster | undefined;
let random = new Random(0);

serve<ChurnApi>({
  async open({ seed }) {
    made = new ChurnedCluster(api, seed);
    random = new Random(seed);
    return Promise.resolve(api.url);
  },
  churn,
  settle: () => cluster().settle(),
  schedule: () => cluster().schedule(),
  tell: ({ phase, addresses, ...pod }) => cluster().tell(pod, { phase, addresses }),
  deleteOwn: (pod) => cluster().deleteOwn(pod),
  clear: () => cluster().clear(),
  objects: () => api.objects,
  held: async ({ pid }) => heldBy(pid),
});

function cluster(): ChurnedCluster {
  if (made === undefined) throw new Error('Cannot change the cluster: the API server is not open');
  return made;
}

async function churn({ events }: { readonly events: number }): Promise<void> {
  const end = cluster().events + events;
  let kept = cluster().events;
  cluster().settle();
  while (cluster().events < end) {
    for (let count = 0; count < AT_ONCE; count += 1) cluster().step();
    if (random.once(BETWEEN_FAULTS)) await fail();
    if (cluster().events > kept + KEPT_EVENTS) {
      kept = cluster().events;
      api.compact();
    }
    await sleep(PAUSE_MS);
  }
}

/** Things go on happening, unseen, before the agent has its connections back. */
async function fail(): Promise<void> {
  api.streaming = random.oneOf(['supported', 'refused', 'refusedLater']);
  api.goneAs = random.oneOf(['status', 'event']);
  const isForgotten = random.once(2);
  const isAway = random.once(3);
  if (isAway) await api.close();
  else api.cut(random.oneOf(['cleanly', 'broken']));
  if (isAway) await sleep(AWAY_MS);
  for (let count = 0; count < AT_ONCE; count += 1) cluster().step();
  if (isForgotten) api.compact();
  if (isAway) await api.open();
}
