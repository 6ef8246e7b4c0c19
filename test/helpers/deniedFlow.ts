import type { DeniedFlow } from '../../src/rendezvous/deniedFlow.ts';

/** Returns a flow that was refused at its way into a pod, with whatever is said otherwise. */
export function deniedFlow(tweaks: Partial<DeniedFlow> = {}): DeniedFlow {
  return {
    audit: false,
    direction: 'ingress',
    from: { address: '10.0.0.1', pod: 'clients/web' },
    to: { address: '10.0.0.2', pod: 'shop/db' },
    protocol: 'TCP',
    port: 80,
    packets: 3,
    firstSeen: '2026-01-01T12:00:00.000Z',
    lastSeen: '2026-01-01T12:00:01.000Z',
    policies: [],
    ...tweaks,
  };
}
