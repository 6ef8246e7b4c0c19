import { Command, Option } from 'commander';
import type { ContainerPort } from '../kube/pod.ts';
import { endpointOf, UnknownEndError } from '../policy/endpointText.ts';
import { explain } from '../policy/explain.ts';
import { explainText } from '../policy/explainText.ts';
import type { CommandIo } from './io.ts';
import { answering, NoAnswerError, readObjects, withSource, type SourceFlags } from './objects.ts';
import { parsePort } from './parsePort.ts';

interface ExplainFlags extends SourceFlags {
  readonly from: string;
  readonly to: string;
  readonly port: ContainerPort;
  readonly output: 'text' | 'json';
}

/** `explain`: whether a connection is allowed, and by which rule or why not; exit 0 allowed, 1 denied, 2 no answer. */
export function explainCommand(io: CommandIo): Command {
  return withSource(new Command('explain'))
    .description('say whether a connection is allowed, and by which rule or why not')
    .requiredOption('--from <end>', 'who connects: NAMESPACE/POD or an address')
    .requiredOption('--to <end>', 'to whom: NAMESPACE/POD or an address')
    .addOption(
      new Option('--port <port>', 'at which port: e.g. 6379/TCP; without a protocol TCP')
        .argParser(parsePort)
        .makeOptionMandatory(),
    )
    .addOption(new Option('--output <format>', 'how to answer').choices(['text', 'json']).default('text'))
    .addHelpText('after', HELP)
    .action(async (flags: ExplainFlags) => answering(io, () => answer(flags, io)));
}

const HELP = `
A connection needs both ends: the egress of the pod it comes from, and the ingress of the pod it goes to. A pod that no policy selects for a
direction is open there. Rules are told by their place in the policy, and where it does not match, by what would have to be otherwise.

Examples:
  kube-nwplcy explain --source dir:manifests --from shop/web --to shop/db --port 6379
  kube-nwplcy explain --source kube --kubeconfig ~/.kube/config --from 192.0.2.7 --to shop/web --port 53/UDP

Exit codes: 0 allowed; 1 denied; 2 no answer (an unknown pod, a manifest that cannot be used) or bad usage.`;

async function answer({ from, to, port, output, ...source }: ExplainFlags, io: CommandIo): Promise<0 | 1> {
  const { cluster, places } = await readObjects(source, io);
  const endpoint = (text: string) => unlessUnknown(() => endpointOf(text, cluster));
  const explanation = explain(cluster, { from: endpoint(from), to: endpoint(to), ...port });
  io.stdout(output === 'json' ? `${JSON.stringify(explanation)}\n` : explainText(explanation, places));
  return explanation.allowed ? 0 : 1;
}

function unlessUnknown<T>(find: () => T): T {
  try {
    return find();
  } catch (error) {
    if (error instanceof UnknownEndError) throw new NoAnswerError(error.message, { cause: error });
    throw error;
  }
}
