import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { decodeValue, type Field } from '../kube/field.ts';
import { DecodeError, problemText } from '../kube/decodeError.ts';
import { canonicalAddress } from '../net/address.ts';
import { printable, quote } from '../net/quote.ts';
import { suggest, type SeenFlow } from '../policy/suggest.ts';
import { DEFAULT_RUNTIME_DIR } from '../rendezvous/runtimeDir.ts';
import { askAgent } from './agentClient.ts';
import type { CommandIo } from './io.ts';
import { answering, NoAnswerError, readObjects, withSource, type SourceFlags } from './objects.ts';
import { suggestText } from './suggestText.ts';

interface SuggestFlags extends SourceFlags {
  readonly runtimeDir: string;
  readonly flows: readonly string[];
  readonly namespace: readonly string[];
  readonly denied: boolean;
}

/** `suggest`: the policies that allow what audit mode has let pass. */
export function suggestCommand(io: CommandIo): Command {
  return withSource(new Command('suggest'))
    .description('print the NetworkPolicies that would allow what audit mode has let pass')
    .option('--runtime-dir <dir>', "the directory shared with this node's agent", DEFAULT_RUNTIME_DIR)
    .addOption(
      new Option('--flows <file>', 'what "denied --output json" has printed, perhaps on another node; repeatable')
        .argParser(collected)
        .default([], 'the agent of this node is asked'),
    )
    .addOption(
      new Option('--namespace <name>', 'only policies of this namespace; repeatable')
        .argParser(collected)
        .default([], 'all'),
    )
    .option('--denied', 'allow what was refused, too', false)
    .addHelpText('after', HELP)
    .action(async (flags: SuggestFlags) => answering(io, () => answer(flags, io)));
}

const HELP = `
What was seen stands as a comment at each rule: read it before you apply anything. Pods are named by labels that outlast them, what is outside of
the cluster by its address. Once these policies are applied, the annotation that made policies audit can go.

Examples:
  kube-nwplcy suggest --source kube > policies.yaml
  kube-nwplcy denied --output json > node-1.json; kube-nwplcy suggest --source kube --flows node-1.json --flows node-2.json

Exit codes: 0 policies are printed, if any are needed; 2 no answer (no agent, a file that cannot be used), or bad usage.`;

const TIMEOUT_MS = 10_000;

function collected(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

async function answer({ runtimeDir, flows, namespace, denied, ...source }: SuggestFlags, io: CommandIo): Promise<0> {
  const { cluster } = await readObjects(source, io);
  const told = flows.length === 0 ? [await askFlows(runtimeDir)] : await Promise.all(flows.map(readFlows));
  const seen = told.flatMap((value) => decodeFlows(value)).filter(({ audit }) => audit || denied);
  const { policies, notes } = suggest(cluster, seen);
  const wanted = policies.filter((policy) => namespace.length === 0 || namespace.includes(policy.namespace));
  io.stdout(suggestText({ policies: wanted, notes }));
  return 0;
}

interface Told {
  readonly from: string;
  readonly flows: unknown;
}

async function askFlows(runtimeDir: string): Promise<Told> {
  const reply = await askAgent({ ask: 'denied' }, { runtimeDir, timeoutMs: TIMEOUT_MS }).catch((error: unknown) => {
    throw new NoAnswerError(error instanceof Error ? error.message : String(error), { cause: error });
  });
  if (reply.kind !== 'denied')
    throw new NoAnswerError(reply.kind === 'failed' ? printable(reply.message) : 'The agent is of another version');
  return { from: 'the agent', flows: reply.flows };
}

async function readFlows(path: string): Promise<Told> {
  try {
    return { from: path, flows: JSON.parse(await readFile(path, 'utf8')) as unknown };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new NoAnswerError(`Cannot read ${quote(path)}: ${printable(reason)}`, { cause: error });
  }
}

type ToldFlow = SeenFlow & { readonly audit: boolean };

function decodeFlows({ from, flows }: Told): readonly ToldFlow[] {
  try {
    return decodeValue({ flows }, (field) => field.list('flows', decodeFlow));
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new NoAnswerError(
      error.problems.map((one) => `${printable(from)}: ${printable(problemText(one))}`).join('\n'),
      {
        cause: error,
      },
    );
  }
}

function decodeFlow(field: Field): ToldFlow {
  const port = field.child('port');
  return {
    audit: field.child('audit').boolean(),
    from: decodeAddress(field.child('from').child('address')),
    to: decodeAddress(field.child('to').child('address')),
    protocol: field.child('protocol').string(),
    port: port.isAbsent ? null : decodeNumber(port),
    packets: decodeNumber(field.child('packets')),
    lastSeen: field.child('lastSeen').string(),
  };
}

function decodeAddress(field: Field): string {
  try {
    return canonicalAddress(field.string());
  } catch (error) {
    if (error instanceof RangeError) return field.fail(error.message, '');
    throw error;
  }
}

function decodeNumber(field: Field): number {
  return typeof field.value === 'number' ? field.value : field.fail('Must be a number', 0);
}
