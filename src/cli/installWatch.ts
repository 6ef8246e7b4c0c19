import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { install, type InstallOptions } from '../install/install.ts';
import { isChange, type Outcome } from '../install/step.ts';
import { FolderWatch } from '../source/folderWatch.ts';

/** How often is looked when nothing was noticed: what was replaced as a whole, and what has no directory yet, is found so. */
const LOOK_MS = 2000;
/** How long a file may be broken before that is told: somebody may be writing it. */
const PATIENCE_MS = 1500;
/** What is at least between two looks, should somebody else insist on the opposite. */
const LEAST_MS = 200;

/**
 * Keeps the node installed until `end`: looks again whenever something happens in one of the directories, and every two seconds. Tells what was
 * done, and each problem once as long as it lasts.
 */
export async function keepInstalled(
  options: InstallOptions,
  {
    directories,
    tell,
    end,
  }: { readonly directories: readonly string[]; readonly tell: (outcome: Outcome) => void; readonly end: AbortSignal },
): Promise<void> {
  let notice = Promise.withResolvers<void>();
  const watch = new FolderWatch(() => notice.resolve());
  const told = new Told(tell);
  while (!end.aborted) {
    notice = Promise.withResolvers<void>();
    watch.follow(identities(directories));
    told.tell(install(options));
    await pause(LEAST_MS, end);
    await Promise.race([notice.promise, pause(LOOK_MS - LEAST_MS, end)]);
  }
  watch.follow(new Map());
}

/** What was told already is not told again, and a problem only when it lasts. */
class Told {
  readonly #tell: (outcome: Outcome) => void;
  readonly #notes = new Set<string>();
  #problems: { readonly text: string; readonly since: number; readonly told: boolean } | undefined;
  #isFirst = true;

  constructor(tell: (outcome: Outcome) => void) {
    this.#tell = tell;
  }

  tell(outcome: Outcome): void {
    const steps = outcome.steps.filter((step) => this.#isFirst || isChange(step));
    const notes = outcome.notes.filter((note) => !this.#notes.has(note));
    for (const note of notes) this.#notes.add(note);
    const problems = this.#isDue(outcome.problems.join('\n')) ? outcome.problems : [];
    this.#isFirst = false;
    if (steps.length + notes.length + problems.length > 0) this.#tell({ steps, notes, problems });
  }

  #isDue(text: string): boolean {
    const now = performance.now();
    const { since, told } = this.#problems?.text === text ? this.#problems : { since: now, told: false };
    const isDue = !told && now - since >= PATIENCE_MS;
    this.#problems = { text, since, told: told || isDue };
    return isDue;
  }
}

function identities(paths: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    paths.flatMap((path) => {
      const stats = statSync(path, { throwIfNoEntry: false });
      return stats === undefined ? [] : [[path, `${stats.dev}:${stats.ino}`] as const];
    }),
  );
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => {});
}
