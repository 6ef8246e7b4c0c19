import { printable } from '../net/quote.ts';
import type { DeniedFlow } from '../rendezvous/deniedFlow.ts';
import type { PodEvent } from '../source/api/podEvents.ts';
import type { PodDenial } from './deniedEvents.ts';

/** The API takes a message of 1,024 bytes; what is longer than it can be is no name that the API server would have let in. */
const LONGEST = 1000;
/** So many policies are named. */
const MOST_POLICIES = 3;

/** Returns the Event that tells people of a denial: of its largest flow in words, of all others by their packets. */
export function deniedEvent(denial: PodDenial): PodEvent {
  const { pod, audit, flows } = denial;
  return {
    pod,
    reason: audit ? 'NetworkPolicyWouldDeny' : 'NetworkPolicyDenied',
    message: messageOf(denial).slice(0, LONGEST),
    at: Math.max(...flows.map(({ lastSeen }) => Date.parse(lastSeen))),
  };
}

function messageOf({ direction, audit, flows, otherPackets }: PodDenial): string {
  const [flow, ...others] = flows;
  if (flow === undefined) return '';
  const rest = others.reduce((sum, { packets }) => sum + packets, otherPackets);
  const what = [
    audit ? 'Would have refused' : 'Refused',
    packetsText(flow.packets),
    direction === 'egress' ? `to ${endText(flow)}` : `from ${endText(flow)} to`,
    portText(flow),
  ].join(' ');
  return `${what}${rest === 0 ? '' : `, and ${packetsText(rest)} of others`}: ${reasonText(flow)}`;
}

function endText({ direction, from, to }: DeniedFlow): string {
  const { pod, address } = direction === 'egress' ? to : from;
  return printable(pod === null ? address : `${pod} (${address})`);
}

function portText({ protocol, port }: DeniedFlow): string {
  return printable(port === null ? protocol : `port ${port}/${protocol}`);
}

function reasonText({ policies }: DeniedFlow): string {
  if (policies.length === 0) return 'it is in quarantine, or the policy is gone';
  const named = policies.slice(0, MOST_POLICIES).map(printable).join(', ');
  return `isolated by ${named}${policies.length > MOST_POLICIES ? `, and ${policies.length - MOST_POLICIES} others` : ''}`;
}

function packetsText(packets: number): string {
  return packets === 1 ? '1 packet' : `${packets} packets`;
}
