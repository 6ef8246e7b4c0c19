import { isSameObject } from '../sameObject.ts';
import type { KubeObject } from '../../kube/cluster.ts';
import type { SourceProblem } from '../source.ts';
import type { Unusable } from './readObject.ts';

/** What a source shows of one kind of objects, by key, and which keys have changed. Changes in place, when it is told to. */
export class PublishedObjects<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #problems = new Map<string, SourceProblem>();
  #problemList: readonly SourceProblem[] | undefined;
  #changed = new Set<string>();

  get objects(): ReadonlyMap<string, T> {
    return this.#objects;
  }

  /** What is wrong with objects that cannot be used. */
  get problems(): readonly SourceProblem[] {
    this.#problemList ??= [...this.#problems.values()];
    return this.#problemList;
  }

  /** Returns the keys whose object came, changed or went since the last call. */
  takeChanged(): ReadonlySet<string> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  /** Takes what is under each of these keys now, and tells whether `objects` change: what says the same as before is left as it is. */
  update(changes: Iterable<readonly [string, T | Unusable<T> | undefined]>): boolean {
    let isChanged = false;
    for (const [key, now] of changes) if (this.#put(key, now)) isChanged = true;
    return isChanged;
  }

  #put(key: string, now: T | Unusable<T> | undefined): boolean {
    const isUsable = now?.kind !== 'unusable';
    this.#noteProblem(key, isUsable ? undefined : now.problem);
    const object = isUsable ? now : now.standIn;
    const before = this.#objects.get(key);
    if (object === before || (object !== undefined && before !== undefined && isSameObject(object, before)))
      return false;
    if (object === undefined) this.#objects.delete(key);
    else this.#objects.set(key, object);
    this.#changed.add(key);
    return true;
  }

  #noteProblem(key: string, problem: SourceProblem | undefined): void {
    if (problem === this.#problems.get(key)) return;
    if (problem === undefined) this.#problems.delete(key);
    else this.#problems.set(key, problem);
    this.#problemList = undefined;
  }
}
