import { Command, Option } from 'commander';
import { readHeartbeat } from '../rendezvous/heartbeat.ts';
import { DEFAULT_RUNTIME_DIR } from '../rendezvous/runtimeDir.ts';
import { explained, type Explained, type Question } from './explained.ts';
import { explainedText } from './explainedText.ts';
import type { AgentPresence } from './kernelText.ts';
import { differing, kernelView } from './kernelView.ts';
import type { CommandIo } from './io.ts';
import { answering } from './objects.ts';
import { parsePort } from './parsePort.ts';
import { parseKnowledge } from './sourceChoice.ts';

interface ExplainFlags extends Question {
  readonly output: 'text' | 'json';
}

/** `explain`: whether a connection is allowed, by which rule or why not, and whether the kernel does so; exit 0 allowed, 1 denied or not so, 2 no answer. */
export function explainCommand(io: CommandIo): Command {
  return new Command('explain')
    .description('say whether a connection is allowed, and by which rule or why not')
    .requiredOption('--from <end>', 'who connects: NAMESPACE/POD or an address')
    .requiredOption('--to <end>', 'to whom: NAMESPACE/POD or an address')
    .addOption(
      new Option('--port <port>', 'at which port: e.g. 6379/TCP; without a protocol TCP')
        .argParser(parsePort)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option(
        '--source <source>',
        'who knows the objects: agent, the one of this node (the default), dir:PATH, a manifest or a directory of them, or kube, the API server',
      ).argParser(parseKnowledge),
    )
    .option('--kubeconfig <file>', 'how to reach the API server (default: KUBECONFIG, else as a pod of the cluster)')
    .option(
      '--kernel',
      'also follow the packet through the rules that this node has now, as root; the agent always does',
    )
    .option('--runtime-dir <dir>', 'the directory shared with the agent', DEFAULT_RUNTIME_DIR)
    .addOption(new Option('--output <format>', 'how to answer').choices(['text', 'json']).default('text'))
    .addHelpText('after', HELP)
    .action(async (flags: ExplainFlags) => answering(io, () => answer(flags, io)));
}

const HELP = `
A connection needs both ends: the egress of the pod it comes from, and the ingress of the pod it goes to. A pod that no policy selects for a
direction is open there. Rules are told by their place in the policy, and where it does not match, by what would have to be otherwise.
On a node, its agent or --kernel has the first packet followed through the rules that the kernel holds now. DIFFERS: it does not do what
the policies say.

Examples:
  kube-nwplcy explain --from shop/web --to shop/db --port 6379
  kube-nwplcy explain --source dir:manifests --from 172.17.0.9 --to shop/db --port 53/UDP
  kube-nwplcy explain --source kube --kernel --from shop/web --to shop/db --port 6379

Exit codes: 0 allowed; 1 denied, or the kernel differs; 2 no answer (an unknown pod, a manifest that cannot be used, no agent) or bad usage.`;

async function answer({ output, ...question }: ExplainFlags, io: CommandIo): Promise<0 | 1> {
  const { explanation, places, agent, node } = await explained(question, io);
  const kernel = node && kernelView(explanation, { ...node, env: io.env });
  if (output === 'json') io.stdout(`${JSON.stringify({ ...explanation, node: agent?.nodeName, kernel })}\n`);
  else io.stdout(explainedText(explanation, { places, agent, kernel, presence: () => presenceOf(agent, question) }));
  return explanation.allowed && differing(kernel) === undefined ? 0 : 1;
}

function presenceOf(agent: Explained['agent'], { runtimeDir }: Pick<Question, 'runtimeDir'>): AgentPresence {
  if (agent !== undefined) return 'answered';
  return readHeartbeat(runtimeDir) === undefined ? 'away' : 'atWork';
}
