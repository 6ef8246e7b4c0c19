import type { Protocol } from '../net/protocol.ts';
import type { Explanation } from '../policy/explain.ts';
import type { PodHooks } from '../rules/pod.ts';
import type { DeniedFlow } from './deniedFlow.ts';
import type { SourceProblem, SourceState } from '../source/source.ts';

/** What the command line can ask of the agent: JSON, sent whole and answered whole: each side closes when it has said it. */
export type AgentRequest = { readonly ask: 'status' | 'sync' | 'denied' } | ExplainRequest;

/** The ends as the command line takes them: `NAMESPACE/POD` or an address. */
export interface ExplainRequest {
  readonly ask: 'explain';
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly protocol: Protocol;
}

export type AgentReply =
  | { readonly kind: 'status'; readonly status: AgentStatus }
  | { readonly kind: 'synced'; readonly problems: readonly SourceProblem[] }
  /** `problem`: why nothing is noted down. */
  | { readonly kind: 'denied'; readonly flows: readonly DeniedFlow[]; readonly problem: string | undefined }
  | { readonly kind: 'explained'; readonly answer: AgentExplanation }
  | { readonly kind: 'failed'; readonly message: string };

/** A connection as the agent of a node judges it. */
export interface AgentExplanation {
  readonly nodeName: string;
  /** What the agent writes rules by. */
  readonly backend: string;
  readonly explanation: Explanation;
  /** Whether of other nodes' pods the agent knows only those that policies of its own pods name. */
  readonly isPartial: boolean;
  /** How the ends are hooked in that are pods of this node. */
  readonly hooks: HookedEnds;
}

/** The ends of a connection that are pods of this node. */
export interface HookedEnds {
  readonly from?: PodHooks | undefined;
  readonly to?: PodHooks | undefined;
}

/** How this node stands. Times are ISO 8601. */
export interface AgentStatus {
  readonly version: string;
  readonly pid: number;
  readonly nodeName: string;
  /** When this agent began. */
  readonly since: string;
  /** `away`: why nothing new can be learned at present, and since when. `inSyncSince`: when everything had been listed once. */
  readonly source: Pick<SourceState, 'inSync' | 'problems' | 'away'> & {
    readonly from: string;
    readonly inSyncSince: string | undefined;
  };
  readonly backend: { readonly name: string; readonly reason: string; readonly families: readonly string[] };
  readonly generation: number;
  readonly pods: {
    /** Hooked in, `adopted` of them without the plugin: they were there before it was. */
    readonly attached: number;
    readonly adopted: number;
    readonly isolated: number;
    readonly quarantined: readonly string[];
    /** By pod, as far as this agent knows. */
    readonly quarantinedSince: Readonly<Record<string, string>>;
    /** Those whose packets pass this node's rules only by br_netfilter. */
    readonly bridged: number;
  };
  /** What br_netfilter is set to in the agent's network namespace, by sysctl; `undefined` where the module is not loaded. */
  readonly bridgeNetfilter: Readonly<Record<string, string>> | undefined;
  /** The NFLOG group that refusals are logged to, and why they are not; `undefined` where no log is wanted. */
  readonly nflog?: { readonly group: number; readonly problem: string | undefined } | undefined;
  readonly policies: number;
  /** What is in audit mode: `namespace NAME`, `policy NAMESPACE/NAME`. */
  readonly audit: readonly string[];
  readonly kernel: { readonly sets: number; readonly chains: number };
  readonly lastSync: { readonly at: string; readonly milliseconds: number } | undefined;
  /** Why the kernel does not hold what it should; `undefined` when it does. */
  readonly failure: string | undefined;
  /** How often something of ours was found missing or changed, and put right. */
  readonly repairs: number;
}

/** Returns the path of the agent's socket. */
export function agentSocketPath(runtimeDir: string): string {
  return `${runtimeDir}/agent.sock`;
}
