import type { NodeLinks } from '../dataplane/nodeLinks.ts';
import { isPlainInterfaceName } from '../net/interfaceName.ts';
import type { PrevResult } from './prevResult.ts';

/** The pod's interface on the node's side, and how its packets come in. */
export interface HostInterface {
  readonly hostInterface: string | undefined;
  /** Whether it is a port of a bridge. */
  readonly bridged: boolean;
}

/**
 * Returns the pod's interface on the node's side: the one that `prevResult` names and that is no bridge, or else where a host route leads
 * (ptp and Calico-like networks have one). The kernel tells whether it is a port of a bridge.
 *
 * To be sure matters more than to find one: what is taken for it drops every other source's packets, and is taken down by DEL.
 */
export function findHostInterface(prevResult: PrevResult, links: NodeLinks): HostInterface {
  const present = prevResult.hostInterfaces.filter((name) => links.has(name));
  const routed = () =>
    prevResult.addresses
      .map((address) => links.routeTo(address))
      .find((name) => name !== undefined && isPlainInterfaceName(name));
  if (!links.sysIsOurs) {
    // A result that names two interfaces on the node names a bridge and its port (CNI plugin `bridge`).
    const [, port] = present;
    return { hostInterface: port ?? routed(), bridged: port !== undefined };
  }
  const hostInterface = present.find((name) => !links.isBridge(name)) ?? unlessBridge(routed(), links);
  return { hostInterface, bridged: hostInterface !== undefined && links.isBridgePort(hostInterface) };
}

function unlessBridge(name: string | undefined, links: NodeLinks): string | undefined {
  return name === undefined || links.isBridge(name) ? undefined : name;
}
