import { familyOf } from '../../src/net/family.ts';
import { POD_NETWORK } from './addressing.ts';
import type { Conflist, PluginConf } from './cniRuntime.ts';

/** How pods are joined to their node: ports of one bridge, each by a routed link of its own, or as flannel has it. */
export type PodNetworkMode = 'bridge' | 'ptp' | 'flannel';

/** The networks of a node's pods, one a family, and what comes after the plugins that make the pod's network. */
interface ConflistParts {
  readonly podCidrs: readonly string[];
  readonly chained: readonly PluginConf[];
}

/** Returns the conflist of a node: bridge or ptp with host-local, or flannel's, and `chained` after it. */
export function conflistFor(mode: PodNetworkMode, { podCidrs, chained }: ConflistParts): Conflist {
  const network: Readonly<Record<PodNetworkMode, (podCidrs: readonly string[]) => readonly PluginConf[]>> = {
    bridge: bridged,
    ptp: routed,
    flannel: flannelled,
  };
  const name = mode === 'flannel' ? 'cbr0' : 'lab';
  return { cniVersion: '1.0.0', name, plugins: [...network[mode](podCidrs), ...chained] };
}

function bridged(podCidrs: readonly string[]): readonly PluginConf[] {
  return [
    { type: 'bridge', bridge: 'cni0', isDefaultGateway: true, ipMasq: false, capabilities, ipam: ipam(podCidrs) },
  ];
}

function routed(podCidrs: readonly string[]): readonly PluginConf[] {
  const routes = podCidrs.map((subnet) => ({ dst: familyOf(subnet) === 'ipv4' ? '0.0.0.0/0' : '::/0' }));
  return [{ type: 'ptp', ipMasq: false, capabilities, ipam: { ...ipam(podCidrs), routes } }];
}

// With these capabilities a test can say which addresses a pod gets, and of a bridge's pod the link address too.
const capabilities = { ips: true, mac: true };

function ipam(podCidrs: readonly string[]) {
  return { type: 'host-local', dataDir: '/run/cni-networks', ranges: podCidrs.map((subnet) => [{ subnet }]) };
}

/**
 * flannel's conflist (flannel-io/flannel, `Documentation/kube-flannel.yml`) with the very configuration that its plugin, which only reads
 * `/run/flannel/subnet.env`, hands to bridge (flannel-io/cni-plugin, `doCmdAdd`), as that plugin was seen to do it with what flanneld left there.
 */
function flannelled(podCidrs: readonly string[]): readonly PluginConf[] {
  const ranges = podCidrs.map((subnet) => [{ subnet }]);
  const routes = podCidrs.map((subnet) => ({ dst: POD_NETWORK[familyOf(subnet)] }));
  return [
    {
      type: 'bridge',
      hairpinMode: true,
      ipMasq: false,
      ipam: { ranges, routes, type: 'host-local' },
      isDefaultGateway: true,
      isGateway: true,
      mtu: 1450,
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ];
}
