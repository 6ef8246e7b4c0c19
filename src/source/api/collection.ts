import type { IncomingMessage } from 'node:http';
import { child, isObject, text, type JsonObject } from './apiObject.ts';
import type { ApiConnection } from './connection.ts';

/** How long the answer to a list may pause. */
export const LIST_SILENCE_MS = 30_000;
/** The server ends a watch after this time, or up to twice that: not all of a cluster's watches at once. */
const SHORTEST_WATCH_S = 300;

type Query = Readonly<Record<string, string>>;

export interface CollectionOptions {
  readonly connection: ApiConnection;
  /** The collection's path, e.g. `/api/v1/pods`. */
  readonly path: string;
  /** What each query has besides. */
  readonly query?: Query;
}

/** A part of a list. */
export interface Page {
  readonly items: readonly JsonObject[];
  /** What the next page is asked for by; '' on the last. */
  readonly continue: string;
  readonly version: string;
}

/** How a collection of the API is asked for (Kubernetes API concepts, "Retrieving large results sets in chunks", "Efficient detection of changes"). */
export class Collection {
  readonly #options: CollectionOptions;

  constructor(options: CollectionOptions) {
    this.#options = options;
  }

  /** Asks for a list, or a part of it. Throws as `ApiConnection.send` does. */
  async page(query: Query, signal: AbortSignal): Promise<Page> {
    const page = await this.#options.connection.json({ path: this.#path(query), signal, silenceMs: LIST_SILENCE_MS });
    if (!isObject(page) || !Array.isArray(page['items'])) throw new Error('the server answered with no list');
    const metadata = child(page, 'metadata');
    return {
      items: page['items'].filter(isObject),
      continue: text(metadata, 'continue'),
      version: text(metadata, 'resourceVersion'),
    };
  }

  /** Begins a watch and returns its answer, whose body is events. Throws as `ApiConnection.send` does. */
  async watch(
    query: Query,
    { signal, silenceMs }: { readonly signal: AbortSignal; readonly silenceMs: number },
  ): Promise<IncomingMessage> {
    const timeoutSeconds = `${Math.round(SHORTEST_WATCH_S * (1 + Math.random()))}`;
    const path = this.#path({ watch: 'true', allowWatchBookmarks: 'true', timeoutSeconds, ...query });
    return this.#options.connection.send({ path, signal, silenceMs });
  }

  #path(query: Query): string {
    const { path, query: always } = this.#options;
    return `${path}?${new URLSearchParams({ ...always, ...query }).toString()}`;
  }
}
