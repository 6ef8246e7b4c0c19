import { Option, type Command } from 'commander';
import { NO_OBJECTS, type Cluster } from '../kube/cluster.ts';
import { objectKey } from '../kube/pod.ts';
import { printable, quote } from '../net/quote.ts';
import { assemble, type FileObjects } from '../source/assemble.ts';
import { apiServerSource } from '../source/api/apiServerSource.ts';
import { readManifests } from '../source/readManifests.ts';
import type { Source, SourceProblem, SourceState } from '../source/source.ts';
import { connectApiServer } from './apiServer.ts';
import type { CommandIo } from './io.ts';
import { parseSource, type SourceChoice } from './sourceChoice.ts';
import { problemText } from './sync.ts';

/** No answer can be given; the message has a line for each reason. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
}

/** The objects that a question is about. */
export interface KnownObjects {
  readonly cluster: Cluster;
  /** Where a policy stands, `FILE:LINE`, by its key; nothing for a source that has no files. */
  readonly places: ReadonlyMap<string, string>;
}

/** Where objects come from, as a command line names it. */
export interface SourceFlags {
  readonly source: SourceChoice;
  readonly kubeconfig: string | undefined;
}

/** Gives a command the options `--source` and `--kubeconfig`. */
export function withSource(command: Command): Command {
  const what = 'where the objects come from: dir:PATH, a manifest or a directory of them, or kube, the API server';
  return command
    .addOption(new Option('--source <source>', what).argParser(parseSource).makeOptionMandatory())
    .option('--kubeconfig <file>', 'how to reach the API server (default: KUBECONFIG, else as a pod of the cluster)');
}

/** Reads all objects once. Throws a NoAnswerError that says why they cannot be had. */
export async function readObjects({ source, kubeconfig }: SourceFlags, io: CommandIo): Promise<KnownObjects> {
  if (source.kind === 'directory') return readDirectory(source.path);
  const { cluster, problems } = await readApiServer(kubeconfig ?? io.env['KUBECONFIG'], io);
  // These the agents of all nodes have too: what cannot be read is closed.
  for (const problem of problems) io.stderr(`${printable(problemText(problem))}\n`);
  return { cluster, places: new Map() };
}

/** A policy that is left out would make the rest look open: any problem is in the way of an answer. */
async function readDirectory(path: string): Promise<KnownObjects> {
  const files = await readFiles(path);
  const { cluster, problems } = assemble(files, NO_OBJECTS);
  refuse(problems);
  return { cluster, places: placesOf(files) };
}

async function readApiServer(kubeconfig: string | undefined, { env, stderr }: CommandIo): Promise<SourceState> {
  const source = apiServerSource({
    connection: await connectApiServer(kubeconfig, env).catch(noAnswer),
    nodeName: '',
    pods: 'all',
    shareAddresses: false,
    warn: (message) => stderr(`${printable(message)}\n`),
  });
  try {
    return await firstState(source);
  } finally {
    await source.stop();
  }
}

/** Resolves when everything was listed. Throws a NoAnswerError when that fails once: people can ask again. */
function firstState(source: Source): Promise<SourceState> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const state = source.state();
      if (state.inSync) resolve(state);
      else if (state.away !== undefined)
        reject(new NoAnswerError(`Cannot read from the API server: ${printable(state.away.reason)}`));
    };
    source.start(look).then(look, reject);
  });
}

function noAnswer(error: unknown): never {
  throw new NoAnswerError(printable(error instanceof Error ? error.message : String(error)), { cause: error });
}

/** Reads the files of a manifest or a directory once. Throws a NoAnswerError when any cannot be used. */
export async function readFiles(path: string): Promise<readonly FileObjects[]> {
  try {
    const { files, problems } = await readManifests(path);
    refuse(problems);
    return files;
  } catch (error) {
    if (error instanceof NoAnswerError || !(error instanceof Error)) throw error;
    throw new NoAnswerError(`Cannot read ${quote(path)}: ${printable(error.message)}`, { cause: error });
  }
}

function refuse(problems: readonly SourceProblem[]): void {
  if (problems.length > 0)
    throw new NoAnswerError(problems.map((problem) => printable(problemText(problem))).join('\n'));
}

/** Returns where the policies of files stand, by their keys. */
export function placesOf(files: readonly FileObjects[]): ReadonlyMap<string, string> {
  const policies = files.flatMap(({ path, objects }) =>
    objects.flatMap(({ object, line }) =>
      object.kind === 'NetworkPolicy'
        ? [[objectKey(object), `${printable(path)}${line === undefined ? '' : `:${line}`}`] as const]
        : [],
    ),
  );
  return new Map(policies);
}

/** Runs a command that answers a question: what kept it from an answer is told on stderr, and is exit code 2, since 1 is an answer. */
export async function answering(io: CommandIo, answer: () => Promise<0 | 1>): Promise<void> {
  try {
    io.exitCode(await answer());
  } catch (error) {
    if (!(error instanceof NoAnswerError)) throw error;
    io.stderr(`${error.message}\n`);
    io.exitCode(2);
  }
}
