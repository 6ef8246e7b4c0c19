import { lstatSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { printable } from '../net/quote.ts';
import { isMissing } from '../files/readIfAny.ts';
import { asideNames, confNames, exists, namesEnding, readConfFile, writeConfFile } from './confDir.ts';
import { ConflistError, parseConflist, PLUGIN_TYPE } from './conflist.ts';
import { conflistName, SAVED_SUFFIX } from './conversion.ts';
import { isOurs, ourFields, withoutEntry } from './entry.ts';
import { says } from './network.ts';
import type { Outcome, Step } from './step.ts';

interface Options {
  readonly dryRun: boolean;
}

/** Returns the runtime directory that our entry in the first conflist with one names, if any does. */
export function runtimeDirInUse(confDir: string): string | undefined {
  for (const name of conflistNames(confDir)) {
    const fields = attempt(() => ourFields(readConfFile(`${confDir}/${name}`).text));
    if (typeof fields?.['runtimeDir'] === 'string') return fields['runtimeDir'];
  }
  return undefined;
}

/** Takes our entry out of every conflist, and puts back what was converted. */
export function cleanConfDir(confDir: string, options: Options): Outcome {
  const steps: Step[] = [];
  const notes: string[] = [];
  const problems: string[] = [];
  const attemptAll = (names: readonly string[], clean: (name: string) => readonly Step[]) => {
    for (const name of names) {
      try {
        steps.push(...clean(name));
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        problems.push(`${printable(`${confDir}/${name}`)}: ${error.message}`);
      }
    }
  };
  attemptAll(namesEnding(confDir, SAVED_SUFFIX), (name) => restored(confDir, { name, ...options }));
  // In a dry run a conflist that goes as a whole is still there.
  const gone = new Set(steps.map(({ path }) => path));
  const lists = conflistNames(confDir).filter((name) => !gone.has(`${confDir}/${name}`));
  attemptAll(lists, (name) => withoutOurs(`${confDir}/${name}`, options));
  steps.push(...cleanAsides(confDir, options));
  return { steps, notes, problems };
}

/** Removes from a directory what a run that was cut short has put aside there. Throws the file system's error. */
export function cleanAsides(directory: string, { dryRun }: Options): readonly Step[] {
  return asideNames(directory).map((name) => {
    const path = `${directory}/${name}`;
    if (!dryRun) rmSync(path, { force: true });
    return { path, verb: 'removed', what: 'what a run that was cut short had left' };
  });
}

/** Puts a single plugin's configuration back, unless the conflist that was made of it has been edited since. */
function restored(confDir: string, { name: saved, dryRun }: { readonly name: string } & Options): readonly Step[] {
  const original = saved.slice(0, -SAVED_SUFFIX.length);
  const [savedPath, path] = [`${confDir}/${saved}`, `${confDir}/${original}`];
  const list = `${confDir}/${conflistName(original)}`;
  const hasList = exists(list);
  if (hasList && !says(readConfFile(list).text, readConfFile(savedPath).text)) {
    return [{ path: savedPath, verb: 'kept', what: `${conflistName(original)} was edited after it was made of this` }];
  }
  const isBack = exists(path);
  if (!dryRun) {
    // Before the list goes: at every moment the runtime finds one of both.
    if (isBack) rmSync(savedPath);
    else renameSync(savedPath, path);
    rmSync(list, { force: true });
  }
  return [
    isBack
      ? { path: savedPath, verb: 'removed', what: `since ${original} is there again` }
      : { path, verb: 'restored', what: `from ${saved}` },
    ...(hasList ? [{ path: list, verb: 'removed', what: `since ${original} is there again` } as const] : []),
  ];
}

function withoutOurs(path: string, { dryRun }: Options): readonly Step[] {
  const file = attempt(() => readConfFile(path));
  // What cannot be read as a conflist is none of ours, unless it speaks of us.
  if (file === undefined || !file.text.includes(PLUGIN_TYPE)) return [];
  if (!parseConflist(file.text).plugins.some(isOurs)) return [];
  const { text, done } = withoutEntry(file.text);
  if (!dryRun) writeConfFile(path, { ...file, text });
  return done.map(({ verb, what }) => ({ path, verb, what }));
}

function conflistNames(confDir: string): readonly string[] {
  return confNames(confDir).filter((name) => name.endsWith('.conflist'));
}

/** What no runtime directory is without. */
const MARK = 'attachments';

// What plugin and agent keep in the runtime directory.
const RUNTIME_NAMES = [
  'acknowledged',
  'agent',
  'agent.sock',
  'attachments',
  'backend',
  'expected',
  'generation',
  'hooked',
  'manifests',
  'synced',
];

/**
 * Removes what plugin and agent have left in the runtime directory, and the directory when it is empty then. A directory that lacks what every
 * runtime directory has is none: its name was mistaken. Throws the file system's error.
 */
export function cleanRuntimeDir(runtimeDir: string, { dryRun }: Options): readonly Step[] {
  const names = namesIn(runtimeDir);
  const ours = names.filter((name) => RUNTIME_NAMES.includes(name) || isAside(name));
  if (ours.length === 0) return [];
  if (!names.includes(MARK))
    return [{ path: runtimeDir, verb: 'kept', what: `it has no "${MARK}", and so is no runtime directory` }];
  const others = names.filter((name) => !ours.includes(name));
  // The mark goes last: a clean-up that was cut short can be taken up again.
  if (!dryRun) {
    const before = ours.filter((name) => name !== MARK);
    for (const name of [...before, MARK]) rmSync(`${runtimeDir}/${name}`, { recursive: true });
    if (others.length === 0) removeDirectory(runtimeDir);
  }
  if (others.length === 0) return [{ path: runtimeDir, verb: 'removed', what: 'the runtime directory' }];
  return [
    { path: runtimeDir, verb: 'removed', what: ours.join(', ') },
    { path: runtimeDir, verb: 'kept', what: `${others.join(', ')}: not ours` },
  ];
}

/** Files that a writer puts aside begin with a dot and its process id, directories with a dot and what they become. */
function isAside(name: string): boolean {
  return /^\.([0-9]+|generation-)/.test(name);
}

function namesIn(directory: string): readonly string[] {
  try {
    if (!lstatSync(directory).isDirectory()) throw new Error(`Cannot clean "${directory}": it is no directory`);
    return readdirSync(directory).toSorted();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

// A mount point, as in a container, stays.
function removeDirectory(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EBUSY')) throw error;
  }
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ConflistError || isMissing(error)) return undefined;
    throw error;
  }
}
