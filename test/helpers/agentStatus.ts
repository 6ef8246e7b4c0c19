import type { AgentStatus } from '../../src/rendezvous/agentSocket.ts';

/** The status of an agent on a node that is well. */
export const wholeStatus: AgentStatus = {
  version: '0.1.0',
  pid: 7,
  nodeName: 'node-1',
  since: '2026-11-21T01:00:00.000Z',
  source: {
    from: 'dir:/m',
    inSync: true,
    inSyncSince: '2026-11-21T01:00:01.000Z',
    problems: [],
    away: undefined,
  },
  backend: { name: 'iptables-nft', reason: 'no other is in use', families: ['ipv4', 'ipv6'] },
  generation: 12,
  pods: { attached: 3, adopted: 0, isolated: 2, quarantined: [], quarantinedSince: {}, bridged: 3 },
  bridgeNetfilter: { 'net.bridge.bridge-nf-call-iptables': '1', 'net.bridge.bridge-nf-call-ip6tables': '1' },
  policies: 4,
  audit: [],
  kernel: { sets: 6, chains: 11 },
  lastSync: { at: '2026-11-21T03:00:00.000Z', milliseconds: 17.5 },
  failure: undefined,
  repairs: 0,
};
