import { atNode, hookedEnds, type OwnNode } from '../agent/explainOnNode.ts';
import { isBackend } from '../dataplane/backend.ts';
import { ownAddresses } from '../dataplane/ownAddresses.ts';
import { objectKey, type ContainerPort } from '../kube/pod.ts';
import { endpointOf, UnknownEndError } from '../policy/endpointText.ts';
import { explain, type Explanation } from '../policy/explain.ts';
import type { AgentExplanation } from '../rendezvous/agentSocket.ts';
import { askAgent, NoAgentError } from './agentClient.ts';
import type { CommandIo } from './io.ts';
import type { NodeEnds } from './kernelView.ts';
import { readNodeRecords, withRecordedAddresses } from './nodeRecords.ts';
import { NoAnswerError, readObjects } from './objects.ts';
import type { KnowledgeChoice, SourceChoice } from './sourceChoice.ts';

/** A connection, and where the objects are that judge it. */
export interface Question {
  readonly from: string;
  readonly to: string;
  readonly port: ContainerPort;
  /** `undefined`: the agent of this node, if there is one. */
  readonly source: KnowledgeChoice | undefined;
  readonly kubeconfig: string | undefined;
  readonly runtimeDir: string;
  /** Whether the rules of this node's kernel are asked too; those of a node whose agent answers always are. */
  readonly kernel: boolean;
}

/** What is said of a connection, and by whom. */
export interface Explained {
  readonly explanation: Explanation;
  /** Where policies stand, by key; see `KnownObjects`. */
  readonly places: ReadonlyMap<string, string>;
  /** `undefined` unless the agent of this node has said it. */
  readonly agent: AgentExplanation | undefined;
  /** `undefined` unless the kernel is asked too. */
  readonly node: NodeEnds | undefined;
}

const TIMEOUT_MS = 5000;

/** Has a connection judged. Throws a NoAnswerError that says why it cannot be. */
export async function explained(question: Question, io: CommandIo): Promise<Explained> {
  const { source } = question;
  if (source === undefined || source.kind === 'agent') return askedOfAgent(question);
  return judgedHere({ ...question, source }, io);
}

async function askedOfAgent({ from, to, port, source, runtimeDir }: Question): Promise<Explained> {
  try {
    const reply = await askAgent({ ask: 'explain', from, to, ...port }, { runtimeDir, timeoutMs: TIMEOUT_MS });
    if (reply.kind === 'explained') {
      const { answer: agent } = reply;
      const node = isBackend(agent.backend) ? { backend: agent.backend, hooks: agent.hooks } : undefined;
      return { explanation: agent.explanation, places: new Map(), agent, node };
    }
    throw new NoAnswerError(reply.kind === 'failed' ? reply.message : 'The agent is of another version');
  } catch (error) {
    if (!(error instanceof NoAgentError)) throw error;
    const advice =
      source === undefined
        ? '\nWithout an agent, say by --source where the objects are: dir:PATH or kube; --kernel asks the rules of this node too'
        : '';
    throw new NoAnswerError(`${error.message}${advice}`, { cause: error });
  }
}

async function judgedHere(
  { from, to, port, kernel, runtimeDir, ...flags }: Question & { readonly source: SourceChoice },
  io: CommandIo,
): Promise<Explained> {
  const records = kernel ? readNodeRecords(runtimeDir) : undefined;
  const { cluster: shown, places } = await readObjects(flags, io);
  const cluster = records === undefined ? shown : withRecordedAddresses(shown, records.pods);
  const own: OwnNode = {
    nodeName: records?.pods.map((hooks) => cluster.pods.get(objectKey(hooks))?.nodeName).find(Boolean),
    ownAddresses: records === undefined ? new Set() : ownAddresses(),
  };
  const endpoint = (text: string) => unlessUnknown(() => atNode(endpointOf(text, cluster), own));
  const explanation = explain(cluster, { from: endpoint(from), to: endpoint(to), ...port });
  const node = records && { backend: records.backend, hooks: hookedEnds(explanation, records.pods) };
  return { explanation, places, agent: undefined, node };
}

function unlessUnknown<T>(find: () => T): T {
  try {
    return find();
  } catch (error) {
    if (error instanceof UnknownEndError) throw new NoAnswerError(error.message, { cause: error });
    throw error;
  }
}
