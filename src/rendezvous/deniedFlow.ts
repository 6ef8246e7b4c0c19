/** A flow that was refused on this node, or would have been but for audit mode. Times are ISO 8601. */
export interface DeniedFlow {
  /** Whether it was let pass, because only policies in audit mode would have refused it. */
  readonly audit: boolean;
  /** Whose end refused it: `egress` that of `from`, `ingress` that of `to`. */
  readonly direction: 'egress' | 'ingress';
  readonly from: FlowEnd;
  readonly to: FlowEnd;
  /** In capitals; a number for what has no name. */
  readonly protocol: string;
  /** `null` for a protocol without ports. */
  readonly port: number | null;
  /** Packets that were judged since `firstSeen`. */
  readonly packets: number;
  readonly firstSeen: string;
  readonly lastSeen: string;
  /** The policies that isolate the refusing pod in this direction now, `namespace/name`; none for a pod in quarantine. */
  readonly policies: readonly string[];
}

/** One end as policies see it: behind a Service, not the Service. */
export interface FlowEnd {
  readonly address: string;
  /** Who has the address now, `namespace/name`; `null` where this node does not know, or it is no pod's. */
  readonly pod: string | null;
}

/** Returns what tells a flow from all others. */
export function flowKey({ audit, direction, from, to, protocol, port }: DeniedFlow): string {
  return [audit, direction, from.address, to.address, protocol, port].join(' ');
}
