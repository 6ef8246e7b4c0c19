import { printable, quote } from '../../net/quote.ts';
import { isNewer, keyOf, metaOf, type JsonObject } from './apiObject.ts';
import { Backoff } from './backoff.ts';
import { Collection, LIST_SILENCE_MS, type CollectionOptions } from './collection.ts';
import { ApiError, limitSilence, SilenceError } from './connection.ts';
import type { Failure, Followed } from './followed.ts';
import { KnownObjects } from './knownObjects.ts';
import { pause } from './pause.ts';
import { endsInitialEvents, eventsOf, statusError, type WatchEvent } from './watchEvents.ts';

const PAGE = 500;
/** A server that does not know how to stream a list tells of changes for ever after. */
const STREAMED_LIST_MS = 60_000;
/** Bookmarks come about once a minute, where etcd allows for them: a server that is silent for longer is asked whether it is well. */
const WATCH_SILENCE_MS = 90_000;
/** A watch that ends sooner is not begun again at once, and what can be watched no longer than this is not listed again at once. */
const FRUITLESS_MS = 1000;

/** Not known, not permitted, too busy, not ready: what is refused so has nothing to do with the way of asking. */
const FAILS_A_LIST_TOO = new Set([401, 403, 429, 503]);

export interface ListWatchOptions<T> extends CollectionOptions {
  /** Returns what is kept of an object; `undefined` for one that is left out. Must not throw. */
  readonly decode: (object: JsonObject) => T | undefined;
  /** How long to wait when the server does not permit it; as after any other failure if not given. Milliseconds. */
  readonly forbiddenMs?: number;
  /** Whether lists are asked for in pages where the server could stream them, too. */
  readonly inPages?: boolean;
  /** Called after each change of `objects`, `isSynced` or `failure`. */
  readonly onChange: () => void;
}

/** The objects of one moment, and which moment that is. */
interface Listed<T extends object> {
  readonly objects: KnownObjects<T>;
  readonly version: string;
}

/**
 * Follows a collection of the API, for ever: lists it and watches it from there (Kubernetes API concepts, "Efficient detection of changes"). A
 * later list replaces what is known in one step. While the server is away what is known stays.
 */
export class ListWatch<T extends object> implements Followed<T> {
  readonly #options: ListWatchOptions<T>;
  readonly #collection: Collection;
  readonly #backoff = new Backoff();
  readonly #stop = new AbortController();
  readonly #known = new KnownObjects<T>();
  #isSynced = false;
  #failure: Failure | undefined;
  /** The server has told of everything up to this; `undefined`: the collection must be listed. */
  #version: string | undefined;
  /** Whether the server is asked to tell the present state in the watch itself (KEP-3157). */
  #streamsLists: boolean;
  #attempt = new AbortController();
  #isListing = false;
  #listedAt = -Infinity;
  #running: Promise<void> | undefined;
  /** Who waits for a list that begins from now on. */
  #waiting: PromiseWithResolvers<void>[] = [];

  constructor(options: ListWatchOptions<T>) {
    this.#options = options;
    this.#streamsLists = options.inPages !== true;
    this.#collection = new Collection(options);
  }

  get objects(): ReadonlyMap<string, T> {
    return this.#known.objects;
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  get failure(): Failure | undefined {
    return this.#failure;
  }

  /** `objects` are what they were in this resourceVersion, and newer where an object was offered; `undefined`: nobody knows. */
  get version(): string | undefined {
    return this.#version;
  }

  takeChanged(): ReadonlySet<string> {
    return this.#known.takeChanged();
  }

  changedIn(key: string): string {
    return this.#known.changedIn(key);
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#attempt.abort();
    await this.#running;
    for (const { reject } of this.#waiting.splice(0)) reject(stopped());
  }

  async relist(): Promise<void> {
    if (this.#stop.signal.aborted) throw stopped();
    const done = Promise.withResolvers<void>();
    this.#waiting.push(done);
    // A list under way comes to its end first: else whoever asks often enough would keep it from that.
    if (!this.#isListing) this.#attempt.abort();
    await done.promise;
  }

  /** Takes an object that was read by itself, unless the watch has told of everything up to then: it may be gone since. */
  offer(object: JsonObject): void {
    if (this.#version === undefined || !isNewer(metaOf(object).resourceVersion, this.#version)) return;
    if (this.#put(this.#known, object)) this.#options.onChange();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#attempt = new AbortController();
      const { signal } = this.#attempt;
      const version = this.#waiting.length > 0 ? undefined : this.#version;
      try {
        await (version === undefined ? this.#list(signal) : this.#watch(version, signal));
      } catch (error) {
        if (!signal.aborted) await this.#recover(error, signal);
      }
    }
  }

  /** Who waits for a list waits for one that begins after he came. */
  async #list(signal: AbortSignal): Promise<void> {
    const served = this.#waiting;
    this.#waiting = [];
    const replace = (listed: Listed<T>) => {
      this.#isListing = false;
      this.#replace(listed);
      for (const { resolve } of served.splice(0)) resolve();
      if (this.#waiting.length > 0) this.#attempt.abort();
    };
    this.#isListing = true;
    try {
      if (this.#streamsLists) await this.#streamList(signal, replace);
      else replace(await this.#listPages(signal));
    } finally {
      this.#isListing = false;
      this.#waiting.unshift(...served);
    }
  }

  async #watch(version: string, signal: AbortSignal): Promise<void> {
    const response = await this.#collection.watch(
      { resourceVersion: version },
      { signal, silenceMs: WATCH_SILENCE_MS },
    );
    const started = performance.now();
    const isLong = () => performance.now() - started >= FRUITLESS_MS;
    this.#well();
    try {
      for await (const event of eventsOf(response)) this.#take(event);
      if (!isLong()) throw new Error('the watch ended at once');
    } finally {
      if (isLong()) this.#backoff.reset();
    }
  }

  /**
   * Watches from before the beginning: the server tells the present state first, as if every object were new, with what changes meanwhile, ends it
   * with a bookmark that says so, and goes on with what changes.
   */
  async #streamList(signal: AbortSignal, replace: (listed: Listed<T>) => void): Promise<void> {
    const objects = new KnownObjects(this.#known);
    let isListed = false;
    let late: NodeJS.Timeout | undefined;
    try {
      const query = { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' };
      const response = await this.#collection.watch(query, { signal, silenceMs: LIST_SILENCE_MS });
      late = setTimeout(() => response.destroy(new SilenceError('the list does not end')), STREAMED_LIST_MS);
      for await (const event of eventsOf(response)) {
        if (isListed) this.#take(event);
        else if (endsInitialEvents(event)) {
          isListed = true;
          clearTimeout(late);
          replace({ objects, version: metaOf(event.object).resourceVersion });
          limitSilence(response, WATCH_SILENCE_MS);
        } else this.#apply(event, objects);
      }
      if (!isListed) this.#streamsLists = false;
    } catch (error) {
      // Who does not know how to, or has a store that does not, says so in one of many ways, or never comes to the end of the state.
      const cannot = error instanceof SilenceError || (error instanceof ApiError && !FAILS_A_LIST_TOO.has(error.code));
      if (!isListed && cannot && !signal.aborted) this.#streamsLists = false;
      else throw error;
    } finally {
      clearTimeout(late);
    }
  }

  async #listPages(signal: AbortSignal): Promise<Listed<T>> {
    const objects = new KnownObjects(this.#known);
    for (let next: Readonly<Record<string, string>> = {}; ;) {
      const page = await this.#collection.page({ limit: `${PAGE}`, ...next }, signal);
      for (const item of page.items) this.#put(objects, item);
      if (page.continue === '') return { objects, version: page.version };
      next = { continue: page.continue };
    }
  }

  #replace({ objects, version }: Listed<T>): void {
    this.#known.replace(objects);
    this.#version = version;
    this.#isSynced = true;
    this.#listedAt = performance.now();
    this.#well();
    this.#options.onChange();
  }

  #take(event: WatchEvent): void {
    const { resourceVersion } = metaOf(event.object);
    if (resourceVersion !== '' && this.#version !== undefined && isNewer(this.#version, resourceVersion)) {
      this.#version = undefined;
      throw new Error('the server is back in an earlier state');
    }
    const isChange = this.#apply(event, this.#known);
    if (resourceVersion !== '') this.#version = resourceVersion;
    if (event.type !== 'BOOKMARK') this.#backoff.reset();
    if (isChange) this.#options.onChange();
  }

  /** Tells whether the event changes anything. Throws what the server ends a watch with. */
  #apply({ type, object }: WatchEvent, objects: KnownObjects<T>): boolean {
    switch (type) {
      case 'ADDED':
      case 'MODIFIED':
        return this.#put(objects, object);
      case 'DELETED':
        return objects.delete(keyOf(object));
      case 'BOOKMARK':
        return false;
      case 'ERROR':
        throw statusError(object);
      default:
        throw new Error(`the server sent an event that is not known: ${quote(type)}`);
    }
  }

  /** Tells whether that changes anything. */
  #put(objects: KnownObjects<T>, object: JsonObject): boolean {
    const key = keyOf(object);
    const decoded = this.#options.decode(object);
    if (decoded === undefined) return objects.delete(key);
    return objects.put(key, { object: decoded, version: metaOf(object).resourceVersion });
  }

  #well(): void {
    if (this.#failure === undefined) return;
    this.#failure = undefined;
    this.#options.onChange();
  }

  /**
   * A collection that nobody changes is silent for as long where etcd tells the server no progress: then there are no bookmarks. But a server whose
   * etcd was set back is silent, too, until it comes to where it was before. Returns what is wrong; `undefined` when the watch can go on.
   */
  async #afterSilence(silence: SilenceError, signal: AbortSignal): Promise<{ readonly error: unknown } | undefined> {
    if (this.#version === undefined) return { error: silence };
    try {
      const { version } = await this.#collection.page({ limit: '1' }, signal);
      if (isNewer(this.#version, version)) this.#version = undefined;
      return undefined;
    } catch (error) {
      return { error };
    }
  }

  /** Where the server has forgotten what followed, everything is listed again, at once; anything else is tried again after a while. */
  async #recover(cause: unknown, signal: AbortSignal): Promise<void> {
    const failed = cause instanceof SilenceError ? await this.#afterSilence(cause, signal) : { error: cause };
    if (failed === undefined || signal.aborted) return;
    const { error } = failed;
    const { code, retryAfterMs } = error instanceof ApiError ? error : {};
    if (code === 410) {
      const wasFollowed = this.#version !== undefined && performance.now() - this.#listedAt >= FRUITLESS_MS;
      this.#version = undefined;
      if (wasFollowed) return;
    }
    // From where it was to go on, the server cannot: a list tells what it has ("too large resource version" is a 504).
    if (code !== undefined && !FAILS_A_LIST_TOO.has(code)) this.#version = undefined;
    const reason = printable(error instanceof Error ? error.message : String(error));
    this.#failure = { since: this.#failure?.since ?? new Date(), reason, code };
    this.#options.onChange();
    const atLeast = code === 403 ? (this.#options.forbiddenMs ?? 0) : (retryAfterMs ?? 0);
    await pause(Math.max(this.#backoff.next(), atLeast), signal);
  }
}

function stopped(): Error {
  return new Error('Cannot list what the API server holds: it is followed no more');
}
