import { renameSync } from 'node:fs';
import type { Environment } from '../dataplane/tools.ts';
import { ensureBridgeNetfilter } from './bridgeNetfilter.ts';
import { exists, readConfFile, writeConfFile } from './confDir.ts';
import { SAVED_SUFFIX } from './conversion.ts';
import type { EntryKeys } from './entryKeys.ts';
import { fileSystemFailure } from './failure.ts';
import type { InstalledExecutable } from './executable.ts';
import { NetworkError, NoNetworkError, planNetwork, type Network } from './network.ts';
import type { Outcome, Step } from './step.ts';

export interface InstallOptions {
  readonly executable: InstalledExecutable;
  readonly confDir: string;
  readonly keys: EntryKeys;
  readonly force: boolean;
  readonly dryRun: boolean;
  readonly env: Environment;
  /** Where `/proc` is; the machine's if not given. */
  readonly root?: string;
}

const MOST_ATTEMPTS = 5;

/**
 * Brings the node to where the runtime calls the plugin for each pod: the executable, what a bridge needs, and last the entry in the conflist, so
 * that whatever fails leaves pods as they were. Run again it finds nothing to do.
 */
export function install(options: InstallOptions): Outcome {
  const steps: Step[] = [];
  const notes: string[] = [];
  try {
    steps.push(options.executable.ensure(options));
    const network = planNetwork(options.confDir, options);
    notes.push(...network.notes);
    const bridge = network.bridging ? ensureBridgeNetfilter(options) : { steps: [], notes: [], problems: [] };
    steps.push(...bridge.steps);
    notes.push(...bridge.notes);
    if (bridge.problems.length === 0) steps.push(...writeNetwork(network, options));
    return { steps, notes, problems: bridge.problems };
  } catch (error) {
    return { steps, notes, problems: [problemText(error)] };
  }
}

/** Somebody else may write the file at the same time: what was read must still be there when it is written. */
function writeNetwork(planned: Network, options: InstallOptions): readonly Step[] {
  let network = planned;
  for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt += 1) {
    const steps = networkSteps(network, options.confDir);
    if (options.dryRun || steps.every(({ verb }) => verb === 'unchanged')) return steps;
    if (readConfFile(`${options.confDir}/${network.name}`).text === network.file.text) {
      write(network, options.confDir);
      return steps;
    }
    network = planNetwork(options.confDir, options);
  }
  throw new Error(`Cannot edit "${options.confDir}/${planned.name}": somebody keeps writing it`);
}

function networkSteps({ name, target, edited }: Network, confDir: string): readonly Step[] {
  const path = `${confDir}/${target}`;
  const converted: readonly Step[] =
    target === name
      ? []
      : [
          { path, verb: 'converted', what: `from ${name}` },
          { path: `${confDir}/${name}`, verb: 'saved', what: `as ${name}${SAVED_SUFFIX}` },
        ];
  const edits = edited.done.map(({ verb, what }) => ({ path, verb, what }));
  const steps = [...converted, ...edits];
  return steps.length === 0 ? [{ path, verb: 'unchanged', what: '' }] : steps;
}

/** The list is there before the single plugin's file goes: at every moment the runtime finds one of both. */
function write({ name, file, target, edited }: Network, confDir: string): void {
  writeConfFile(`${confDir}/${target}`, { ...file, text: edited.text });
  if (target !== name && exists(`${confDir}/${name}`))
    renameSync(`${confDir}/${name}`, `${confDir}/${name}${SAVED_SUFFIX}`);
}

function problemText(error: unknown): string {
  if (error instanceof NetworkError || error instanceof NoNetworkError) return error.message;
  const failure = fileSystemFailure(error);
  if (failure !== undefined) return `Cannot install: ${failure}`;
  throw error;
}
