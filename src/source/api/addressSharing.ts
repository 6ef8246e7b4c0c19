import { isDeepStrictEqual } from 'node:util';
import type { Pod } from '../../kube/pod.ts';
import { printable } from '../../net/quote.ts';
import type { JsonObject } from './apiObject.ts';
import { ApiError, type ApiConnection } from './connection.ts';
import { ListWatch } from './listWatch.ts';
import {
  configMapOf,
  LABELS,
  NAMESPACE,
  readConfigMap,
  type NodeAddresses,
  type ToldAddresses,
} from './nodeAddresses.ts';
import { pause } from './pause.ts';

const CONFIG_MAPS = `/api/v1/namespaces/${NAMESPACE}/configmaps`;
const SILENCE_MS = 10_000;
/** Pods that start together are told of together, the first at once. */
const BETWEEN_WRITES_MS = 100;
/** What the API shows by now is in nobody's way: it goes with the next addition, or after this time. */
const REMOVAL_MS = 5000;
/** Who may not, may not a minute later either, but perhaps some day. */
const FORBIDDEN_MS = 60_000;
const FAILED_MS = 1000;
/** What a key of a ConfigMap may be. */
const KEY = /^[-._a-zA-Z0-9]{1,253}$/;

export interface AddressSharingOptions {
  readonly connection: ApiConnection;
  readonly nodeName: string;
  readonly onChange: () => void;
  readonly warn: (message: string) => void;
}

/**
 * Tells other nodes which addresses this node's pods have, from ADD on until the API shows them, and learns the same of theirs. The kubelet publishes
 * an address up to seconds after the pod runs; until then the pod's first connections to other nodes would be refused.
 */
export class AddressSharing {
  readonly #options: AddressSharingOptions;
  readonly #others: ListWatch<NodeAddresses>;
  readonly #stop = new AbortController();
  #wanted: JsonObject | undefined;
  #written: JsonObject | undefined;
  #writing: Promise<void> | undefined;
  #isWriting = false;
  /** Aborted as soon as there is something to say. */
  #news = new AbortController();
  /** `undefined`: not known yet, and what an earlier agent of this node told stays. */
  #own: ReadonlyMap<string, readonly string[]> | undefined;
  #shown: ReadonlyMap<string, Pod> = new Map();
  #complaint: string | undefined;

  constructor(options: AddressSharingOptions) {
    this.#options = options;
    const labelSelector = Object.entries(LABELS)
      .map(([key, value]) => `${key}=${value}`)
      .join();
    this.#others = new ListWatch({
      connection: options.connection,
      path: CONFIG_MAPS,
      query: { labelSelector },
      decode: readConfigMap,
      onChange: options.onChange,
      forbiddenMs: FORBIDDEN_MS,
    });
  }

  /** Returns what another node tells; `undefined` where that is nothing. */
  toldBy(nodeName: string): ToldAddresses | undefined {
    const key = `${NAMESPACE}/${nodeName}`;
    const told = nodeName === this.#options.nodeName ? undefined : this.#others.objects.get(key);
    return told === undefined || told.addresses.size === 0
      ? undefined
      : { ...told, version: this.#others.changedIn(key) };
  }

  /** Returns the nodes that tell something else than when this was called last. */
  takeChanged(): ReadonlySet<string> {
    return new Set(Array.from(this.#others.takeChanged(), (key) => key.slice(NAMESPACE.length + 1)));
  }

  start(): void {
    this.#others.start();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#others.stop(), this.#writing]);
  }

  /** Takes the addresses that this node's pods really have, by uid. */
  share(own: ReadonlyMap<string, readonly string[]>): void {
    this.#own = own;
    this.#update();
  }

  /** Takes this node's pods as the API shows them, by uid. */
  see(shown: ReadonlyMap<string, Pod>): void {
    this.#shown = shown;
    this.#update();
  }

  #update(): void {
    if (this.#own === undefined) return;
    const unpublished = [...this.#own].filter(
      ([uid, addresses]) =>
        KEY.test(uid) && this.#shown.get(uid)?.addresses.toSorted().join() !== addresses.toSorted().join(),
    );
    this.#wanted = configMapOf({ nodeName: this.#options.nodeName, addresses: new Map(unpublished) });
    if (this.#hasNews()) this.#news.abort();
    if (!this.#isWriting) this.#writing = this.#write();
  }

  async #write(): Promise<void> {
    const { signal } = this.#stop;
    this.#isWriting = true;
    while (!signal.aborted) {
      await this.#untilDue();
      const wanted = this.#wanted;
      if (wanted === undefined || isDeepStrictEqual(wanted, this.#written)) break;
      await pause(await this.#put(wanted), signal);
    }
    this.#isWriting = false;
  }

  /** What merely goes waits for something that comes. */
  async #untilDue(): Promise<void> {
    const { signal } = this.#stop;
    if (this.#written === undefined || this.#hasNews() || isDeepStrictEqual(this.#wanted, this.#written)) return;
    this.#news = new AbortController();
    await pause(REMOVAL_MS, AbortSignal.any([signal, this.#news.signal]));
  }

  /** Tells whether something is to be said that was not said before. */
  #hasNews(): boolean {
    const said = dataOf(this.#written);
    return Object.entries(dataOf(this.#wanted)).some(([uid, addresses]) => said[uid] !== addresses);
  }

  /** Writes the object and returns how long to wait before the next time. */
  async #put(object: JsonObject): Promise<number> {
    try {
      await this.#replace(object);
      this.#written = object;
      this.#complaint = undefined;
      return BETWEEN_WRITES_MS;
    } catch (error) {
      if (this.#stop.signal.aborted) return 0;
      const reason = printable(error instanceof Error ? error.message : String(error));
      if (reason !== this.#complaint)
        this.#options.warn(`Cannot tell other nodes of new pods' addresses: ${reason}; see "--no-share-addresses"`);
      this.#complaint = reason;
      return error instanceof ApiError && error.code === 403 ? FORBIDDEN_MS : FAILED_MS;
    }
  }

  async #replace(object: JsonObject): Promise<void> {
    const path = `${CONFIG_MAPS}/${encodeURIComponent(this.#options.nodeName)}`;
    if (await this.#found({ method: 'PUT', path, body: object })) return;
    // Nothing to say, and nothing said before.
    if (Object.keys(dataOf(object)).length === 0) return;
    const create = { method: 'POST', path: CONFIG_MAPS, body: object } as const;
    if (await this.#found(create)) return;
    await this.#makeNamespace();
    if (!(await this.#found(create))) throw new Error(`there is no namespace "${NAMESPACE}"`);
  }

  async #makeNamespace(): Promise<void> {
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } };
    try {
      await this.#found({ method: 'POST', path: '/api/v1/namespaces', body });
    } catch (error) {
      // Another node's agent made it meanwhile.
      if (!(error instanceof ApiError && error.code === 409)) throw error;
    }
  }

  /** Sends a request, and tells whether what it is about was found. */
  async #found(request: {
    readonly method: 'PUT' | 'POST';
    readonly path: string;
    readonly body: JsonObject;
  }): Promise<boolean> {
    try {
      await this.#options.connection.json({ ...request, signal: this.#stop.signal, silenceMs: SILENCE_MS });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.code === 404) return false;
      throw error;
    }
  }
}

function dataOf(object: JsonObject | undefined): Readonly<Record<string, unknown>> {
  return (object?.['data'] as Readonly<Record<string, unknown>> | undefined) ?? {};
}
