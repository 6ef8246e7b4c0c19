import { objectKey } from '../kube/pod.ts';
import { quote } from '../net/quote.ts';
import { endpointOf, UnknownEndError } from '../policy/endpointText.ts';
import { explain, type End, type Explanation } from '../policy/explain.ts';
import type { Endpoint } from '../policy/flow.ts';
import type { AgentExplanation, ExplainRequest, HookedEnds } from '../rendezvous/agentSocket.ts';
import type { PodHooks } from '../rules/pod.ts';
import type { KnownNode } from './nodeSync.ts';

/** A node as packets know it. */
export interface OwnNode {
  readonly nodeName: string | undefined;
  readonly ownAddresses: ReadonlySet<string>;
}

interface Knowledge extends KnownNode, OwnNode {
  /** See `AgentExplanation`. */
  readonly isPartial: boolean;
}

/** Judges a connection by what the agent knows. Throws an UnknownEndError that says what to do about an end which the agent does not know. */
export function explainOnNode(
  { from, to, port, protocol }: ExplainRequest,
  known: Knowledge,
): Pick<AgentExplanation, 'explanation' | 'isPartial' | 'hooks'> {
  // Who has an address is remembered by cluster, and this one changes in place.
  const cluster = { ...known.cluster };
  const endpoint = (text: string) => atNode(knownEnd(text, { ...known, cluster }), known);
  const explanation = explain(cluster, { from: endpoint(from), to: endpoint(to), port, protocol });
  return { explanation, isPartial: known.isPartial, hooks: hookedEnds(explanation, known.pods) };
}

/** Returns the node itself where an address is its own: objects tell of it only by pods that share it. */
export function atNode(endpoint: Endpoint, { nodeName, ownAddresses }: OwnNode): Endpoint {
  const isOwn = endpoint.kind === 'address' && ownAddresses.has(endpoint.address);
  return isOwn && nodeName !== undefined ? { kind: 'node', nodeName, address: endpoint.address } : endpoint;
}

function knownEnd(text: string, { cluster, pods, isPartial }: Knowledge): Endpoint {
  try {
    return endpointOf(text, cluster);
  } catch (error) {
    if (!(error instanceof UnknownEndError)) throw error;
    if (pods.some((hooks) => objectKey(hooks) === text))
      throw new UnknownEndError(
        `Cannot use ${quote(text)}: it is attached to this node, but the source does not show it: it is refused everything until the source does`,
        { cause: error },
      );
    if (!isPartial || !text.includes('/')) throw error;
    const message = `${error.message}\nOf other nodes' pods this agent knows only those that policies of its own pods name: --source kube knows all`;
    throw new UnknownEndError(message, { cause: error });
  }
}

/** Returns how the ends of a connection are hooked in that are among these pods. */
export function hookedEnds({ from, to }: Explanation, pods: readonly PodHooks[]): HookedEnds {
  return { from: hooksOf(from, pods), to: hooksOf(to, pods) };
}

/** A pod may have several interfaces: the one with the address in question is meant. A pod that the source does not show has an address too. */
function hooksOf({ kind, pod, address }: End, pods: readonly PodHooks[]): PodHooks | undefined {
  if (kind === 'node') return undefined;
  const own = pods.filter((hooks) => pod === undefined || objectKey(hooks) === pod);
  return own.find(({ addresses }) => address !== undefined && addresses.includes(address));
}
