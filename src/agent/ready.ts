import type { AgentStatus } from '../rendezvous/agentSocket.ts';

/** Tells whether the kernel holds what the source holds. */
export function isReady({ failure, source, lastSync }: AgentStatus): boolean {
  return failure === undefined && source.inSync && lastSync !== undefined;
}
