/** Why a collection cannot be followed, and since when. */
export interface Failure {
  readonly since: Date;
  readonly reason: string;
  /** The HTTP status code, where that is why. */
  readonly code: number | undefined;
}

/** Objects of the API that are followed: listed, and watched from there on. */
export interface Followed<T> {
  /** By `namespace/name`, or by name where there is no namespace. Changes in place. */
  readonly objects: Pick<ReadonlyMap<string, T>, 'get'>;
  /** Whether they were listed at least once. */
  readonly isSynced: boolean;
  /** Why they cannot be followed at present. */
  readonly failure: Failure | undefined;
  /** Returns the keys of `objects` that came, changed or went since the last call; the first time, all. */
  takeChanged(): ReadonlySet<string>;
  /** Returns the resourceVersion in which the object of this key came to say what it says; '' where there is none. */
  changedIn(key: string): string;
  start(): void;
  stop(): Promise<void>;
  /** Resolves once `objects` hold what the server held when this was called; not before it is back. Rejects when stopped before that. */
  relist(): Promise<void>;
}
