import { isDeepStrictEqual } from 'node:util';
import type { Cluster, KubeObject } from '../../kube/cluster.ts';
import { isDnsLabel, isDnsSubdomain } from '../../kube/names.ts';
import type { Namespace } from '../../kube/namespace.ts';
import type { NetworkPolicy } from '../../kube/networkPolicy.ts';
import type { Pod } from '../../kube/pod.ts';
import type { Source, SourceProblem, SourceState } from '../source.ts';
import { AddressSharing } from './addressSharing.ts';
import { isObject } from './apiObject.ts';
import type { ApiConnection } from './connection.ts';
import { ListWatch } from './listWatch.ts';
import { withNodeAddresses } from './nodeAddresses.ts';
import { reader, type Unusable } from './readObject.ts';

export interface ApiServerOptions {
  readonly connection: ApiConnection;
  /** This node's name. */
  readonly nodeName: string;
  /** Whether nodes tell each other of new pods' addresses. */
  readonly shareAddresses: boolean;
  /** Tells people what does not work as well as it could. */
  readonly warn: (message: string) => void;
}

/** The first of many changes is told at once, and then all that came meanwhile every so often. */
const BETWEEN_CHANGES_MS = 20;
const BETWEEN_LOOKS_MS = 200;
const POD_SILENCE_MS = 5000;
/** More pods than ever start on a node at once. */
const MOST_LOOKED_FOR = 1000;

type Followed<T extends KubeObject> = ListWatch<T | Unusable<T>>;

/** Returns a source that holds the namespaces, pods and policies of an API server, and watches it. While the server is away it keeps what it knew. */
export function apiServerSource(options: ApiServerOptions): Source {
  return new ApiServerSource(options);
}

class ApiServerSource implements Source {
  readonly #options: ApiServerOptions;
  readonly #namespaces: Followed<Namespace>;
  readonly #pods: Followed<Pod>;
  readonly #policies: Followed<NetworkPolicy>;
  readonly #sharing: AddressSharing | undefined;
  readonly #stop = new AbortController();
  #state: SourceState = {
    inSync: false,
    cluster: { namespaces: new Map(), pods: new Map(), policies: new Map() },
    problems: [],
    away: undefined,
  };
  #onChange: () => void = () => {};
  /** Of which kinds something has changed since the state was made. */
  readonly #changed = new Set<KubeObject['kind']>();
  #soon: NodeJS.Timeout | undefined;
  #publishedAt = 0;
  readonly #lookedFor = new Map<string, number>();

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#namespaces = this.#follow('Namespace', { apiVersion: 'v1', path: '/api/v1/namespaces' });
    this.#pods = this.#follow('Pod', { apiVersion: 'v1', path: '/api/v1/pods' });
    const group = 'networking.k8s.io/v1';
    this.#policies = this.#follow('NetworkPolicy', { apiVersion: group, path: `/apis/${group}/networkpolicies` });
    const { connection, nodeName, warn } = options;
    this.#sharing = options.shareAddresses
      ? new AddressSharing({ connection, nodeName, warn, onChange: () => this.#notice('Pod') })
      : undefined;
  }

  state(): SourceState {
    return this.#state;
  }

  async start(onChange: () => void): Promise<void> {
    this.#onChange = onChange;
    for (const followed of this.#all()) followed.start();
    this.#sharing?.start();
  }

  async refresh(): Promise<void> {
    await Promise.all(this.#all().map(async (followed) => followed.relist()));
    this.#publish();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#soon);
    await Promise.all(
      [...this.#all(), ...(this.#sharing === undefined ? [] : [this.#sharing])].map(async (part) => part.stop()),
    );
  }

  lookFor({ namespace, name }: { readonly namespace: string; readonly name: string }): void {
    const key = `${namespace}/${name}`;
    const now = performance.now();
    if (!isDnsLabel(namespace) || !isDnsSubdomain(name)) return;
    if (now - (this.#lookedFor.get(key) ?? -Infinity) < BETWEEN_LOOKS_MS) return;
    if (this.#lookedFor.size >= MOST_LOOKED_FOR) this.#lookedFor.clear();
    this.#lookedFor.set(key, Infinity); // under way
    void this.#readPod(`/api/v1/namespaces/${namespace}/pods/${name}`).then(() =>
      this.#lookedFor.set(key, performance.now()),
    );
  }

  shareAddresses(addresses: ReadonlyMap<string, readonly string[]>): void {
    this.#sharing?.share(addresses);
  }

  /** A pod that cannot be read is one that the watch will show: nothing is lost. */
  async #readPod(path: string): Promise<void> {
    try {
      const pod = await this.#options.connection.json({ path, silenceMs: POD_SILENCE_MS, signal: this.#stop.signal });
      if (isObject(pod)) this.#pods.offer(pod);
    } catch {
      // The watch's own failure tells people what is wrong.
    }
  }

  #follow<T extends KubeObject>(
    kind: T['kind'],
    { apiVersion, path }: { readonly apiVersion: string; readonly path: string },
  ): Followed<T> {
    const { connection } = this.#options;
    const decode = reader<T>(kind, apiVersion);
    return new ListWatch({ connection, path, decode, onChange: () => this.#notice(kind) });
  }

  #all(): readonly Followed<KubeObject>[] {
    return [this.#namespaces, this.#pods, this.#policies];
  }

  #notice(kind: KubeObject['kind']): void {
    this.#changed.add(kind);
    if (this.#soon !== undefined || this.#stop.signal.aborted) return;
    const wait = Math.max(0, this.#publishedAt + BETWEEN_CHANGES_MS - performance.now());
    this.#soon = setTimeout(() => this.#publish(), wait);
  }

  #publish(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#publishedAt = performance.now();
    const before = this.#state;
    const state: SourceState = {
      inSync: this.#all().every(({ isSynced }) => isSynced),
      cluster: this.#cluster(before.cluster),
      problems: this.#all().flatMap(({ objects }) => problemsOf(objects)),
      away: this.#away(),
    };
    this.#changed.clear();
    if (state.cluster === before.cluster && isDeepStrictEqual({ ...state, cluster: 0 }, { ...before, cluster: 0 }))
      return;
    this.#state = state;
    this.#onChange();
  }

  #cluster(before: Cluster): Cluster {
    const namespaces = this.#changed.has('Namespace')
      ? kept(usable(this.#namespaces), before.namespaces)
      : before.namespaces;
    const policies = this.#changed.has('NetworkPolicy')
      ? kept(usable(this.#policies), before.policies)
      : before.policies;
    const pods = this.#changed.has('Pod') ? kept(this.#allPods(), before.pods) : before.pods;
    const isSame = namespaces === before.namespaces && policies === before.policies && pods === before.pods;
    return isSame ? before : { namespaces, pods, policies };
  }

  #allPods(): ReadonlyMap<string, Pod> {
    const pods = usable(this.#pods);
    if (this.#sharing === undefined) return pods;
    const { nodeName } = this.#options;
    const own = [...pods.values()].filter((pod) => pod.nodeName === nodeName);
    this.#sharing.see(new Map(own.flatMap((pod) => (pod.uid === undefined ? [] : [[pod.uid, pod]]))));
    return withNodeAddresses(pods, this.#sharing.others(), (pod) => this.#pods.changedIn(pod));
  }

  /** The oldest failure tells since when. */
  #away(): SourceState['away'] {
    const failures = this.#all().flatMap(({ failure }) => failure ?? []);
    const [first] = failures.toSorted((a, b) => a.since.getTime() - b.since.getTime());
    return first && { since: first.since.toISOString(), reason: first.reason };
  }
}

function usable<T extends KubeObject>({ objects }: Followed<T>): ReadonlyMap<string, T> {
  const found = new Map<string, T>();
  for (const [key, object] of objects) {
    const one = object.kind === 'unusable' ? object.standIn : object;
    if (one !== undefined) found.set(key, one);
  }
  return found;
}

function problemsOf(objects: ReadonlyMap<string, KubeObject | Unusable<KubeObject>>): readonly SourceProblem[] {
  return [...objects.values()].flatMap((object) => (object.kind === 'unusable' ? [object.problem] : []));
}

/** Returns `before` itself when it says the same, else a map that has those of its objects that do. */
function kept<T>(now: ReadonlyMap<string, T>, before: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  const result = new Map<string, T>();
  for (const [key, one] of now) {
    const old = before.get(key);
    result.set(key, old !== undefined && isDeepStrictEqual(old, one) ? old : one);
  }
  return result.size === before.size && result.entries().every(([key, one]) => before.get(key) === one)
    ? before
    : result;
}
