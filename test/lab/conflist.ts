import { familyOf } from '../../src/net/family.ts';
import type { Conflist, PluginConf } from './cniRuntime.ts';

/** How pods are joined to their node: ports of one bridge, or each by a routed link of its own. */
export type PodNetworkMode = 'bridge' | 'ptp';

/** Returns the conflist of a node: bridge or ptp with host-local, and `chained` after it. */
export function conflistFor(
  mode: PodNetworkMode,
  { podCidrs, chained }: { readonly podCidrs: readonly string[]; readonly chained: readonly PluginConf[] },
): Conflist {
  const ipam = {
    type: 'host-local',
    dataDir: '/run/cni-networks',
    ranges: podCidrs.map((subnet) => [{ subnet }]),
  };
  // With these capabilities a test can say which addresses a pod gets, and of a bridge's pod the link address too.
  const capabilities = { ips: true, mac: true };
  const routes = podCidrs.map((subnet) => ({ dst: familyOf(subnet) === 'ipv4' ? '0.0.0.0/0' : '::/0' }));
  const main: Readonly<Record<PodNetworkMode, PluginConf>> = {
    bridge: { type: 'bridge', bridge: 'cni0', isDefaultGateway: true, ipMasq: false, capabilities, ipam },
    ptp: { type: 'ptp', ipMasq: false, capabilities, ipam: { ...ipam, routes } },
  };
  return { cniVersion: '1.0.0', name: 'lab', plugins: [main[mode], ...chained] };
}
