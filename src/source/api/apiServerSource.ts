import { isDeepStrictEqual } from 'node:util';
import type { ClusterChanges, KubeObject } from '../../kube/cluster.ts';
import { isDnsLabel, isDnsSubdomain } from '../../kube/names.ts';
import type { Namespace } from '../../kube/namespace.ts';
import type { NetworkPolicy } from '../../kube/networkPolicy.ts';
import type { Pod } from '../../kube/pod.ts';
import type { Source, SourceState } from '../source.ts';
import { AddressSharing } from './addressSharing.ts';
import { isObject } from './apiObject.ts';
import type { ApiConnection } from './connection.ts';
import type { Followed } from './followed.ts';
import { HeldChanges } from './heldChanges.ts';
import { ListWatch, type ListWatchOptions } from './listWatch.ts';
import { PodAddresses } from './podAddresses.ts';
import { PodWatches } from './podWatches.ts';
import { PublishedObjects } from './publishedObjects.ts';
import { reader, type Unusable } from './readObject.ts';

export interface ApiServerOptions {
  readonly connection: ApiConnection;
  /** This node's name. */
  readonly nodeName: string;
  /** Which pods are followed: all, or those that this node's rules depend on, with its own. */
  readonly pods: 'all' | 'needed';
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

type Watched<T extends KubeObject> = ListWatch<T | Unusable<T>>;

/** What is published, which changes only when that is told. */
interface Published {
  readonly namespaces: PublishedObjects<Namespace>;
  readonly pods: PublishedObjects<Pod>;
  readonly policies: PublishedObjects<NetworkPolicy>;
}

/** Returns a source that holds the namespaces, pods and policies of an API server, and watches it. While the server is away it keeps what it knew. */
export function apiServerSource(options: ApiServerOptions): Source {
  return new ApiServerSource(options);
}

class ApiServerSource implements Source {
  readonly #options: ApiServerOptions;
  readonly #namespaces: Watched<Namespace>;
  readonly #pods: PodWatches;
  readonly #policies: Watched<NetworkPolicy>;
  readonly #changes: HeldChanges;
  readonly #sharing: AddressSharing | undefined;
  readonly #podAddresses: PodAddresses | undefined;
  readonly #stop = new AbortController();
  readonly #published: Published = {
    namespaces: new PublishedObjects(),
    pods: new PublishedObjects(),
    policies: new PublishedObjects(),
  };
  #state: SourceState = {
    inSync: false,
    cluster: {
      namespaces: this.#published.namespaces.objects,
      pods: this.#published.pods.objects,
      policies: this.#published.policies.objects,
    },
    problems: [],
    away: undefined,
  };
  #onChange: () => void = () => {};
  #soon: NodeJS.Timeout | undefined;
  #publishedAt = 0;
  readonly #lookedFor = new Map<string, number>();

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#namespaces = this.#follow('Namespace', { apiVersion: 'v1', path: '/api/v1/namespaces' });
    this.#pods = new PodWatches({
      nodeName: options.nodeName,
      which: options.pods === 'all' ? 'all' : 'own',
      follow: (query) => this.#follow<Pod>('Pod', { apiVersion: 'v1', ...query }),
      onChange: () => this.#notice(),
    });
    const group = 'networking.k8s.io/v1';
    this.#policies = this.#follow('NetworkPolicy', { apiVersion: group, path: `/apis/${group}/networkpolicies` });
    this.#changes = new HeldChanges({
      which: options.pods,
      namespaces: this.#namespaces,
      pods: this.#pods,
      policies: this.#policies,
      onChange: () => this.#notice(),
    });
    const { connection, nodeName, warn } = options;
    this.#sharing = options.shareAddresses
      ? new AddressSharing({ connection, nodeName, warn, onChange: () => this.#notice() })
      : undefined;
    this.#podAddresses =
      this.#sharing &&
      new PodAddresses({
        pods: this.#pods,
        published: this.#published.pods.objects,
        sharing: this.#sharing,
        nodeName,
      });
  }

  state(): SourceState {
    return this.#state;
  }

  takeChanges(): ClusterChanges {
    const { namespaces, pods, policies } = this.#published;
    return { namespaces: namespaces.takeChanged(), pods: pods.takeChanged(), policies: policies.takeChanged() };
  }

  async start(onChange: () => void): Promise<void> {
    this.#onChange = onChange;
    for (const followed of this.#all()) followed.start();
    this.#sharing?.start();
  }

  async refresh(): Promise<void> {
    await Promise.all(this.#all().map(async (followed) => followed.relist()));
    await this.#changes.settled();
    this.#publish();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#soon);
    this.#changes.stop();
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
    {
      apiVersion,
      ...collection
    }: { readonly apiVersion: string } & Pick<ListWatchOptions<T>, 'path' | 'query' | 'inPages'>,
  ): Watched<T> {
    const { connection } = this.#options;
    const decode = reader<T>(kind, apiVersion);
    return new ListWatch({ connection, ...collection, decode, onChange: () => this.#notice() });
  }

  #all(): readonly Followed<KubeObject | Unusable<KubeObject>>[] {
    return [this.#namespaces, this.#pods, this.#policies];
  }

  #notice(): void {
    this.#changes.noteChange();
    if (this.#soon !== undefined || this.#stop.signal.aborted) return;
    const wait = Math.max(0, this.#publishedAt + BETWEEN_CHANGES_MS - performance.now());
    this.#soon = setTimeout(() => this.#publish(), wait);
  }

  #publish(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#publishedAt = performance.now();
    const isChanged = this.#update();
    const { namespaces, pods, policies } = this.#published;
    const { cluster, ...before } = this.#state;
    const now = {
      inSync: this.#changes.isSynced,
      problems: [namespaces, pods, policies].flatMap(({ problems }) => problems),
      away: this.#away(),
    };
    const isSame = isDeepStrictEqual(now, before);
    if (!isSame) this.#state = { cluster, ...now };
    if (isChanged || !isSame) this.#onChange();
  }

  /** Brings what is published up to date, and tells whether that changed anything. It costs what the changes cost, however many objects there are. */
  #update(): boolean {
    const { namespaces, pods, policies } = this.#published;
    const changed = this.#changes.take();
    const changes = [
      namespaces.update(changesOf(this.#namespaces, changed.namespaces)),
      pods.update(this.#podAddresses?.update(changed.pods) ?? changesOf(this.#pods, changed.pods)),
      policies.update(changesOf(this.#policies, changed.policies)),
    ];
    return changes.includes(true);
  }

  /** The oldest failure tells since when. */
  #away(): SourceState['away'] {
    const failures = this.#all().flatMap(({ failure }) => failure ?? []);
    const [first] = failures.toSorted((a, b) => a.since.getTime() - b.since.getTime());
    return first && { since: first.since.toISOString(), reason: first.reason };
  }
}

/** Yields what is under each of the keys now. */
function* changesOf<T>(
  { objects }: Followed<T>,
  changed: ReadonlySet<string>,
): Generator<readonly [string, T | undefined]> {
  for (const key of changed) yield [key, objects.get(key)];
}
