import type { JsonObject } from '../cni/config.ts';
import { isObject } from '../cni/input.ts';

// What is known of plugins by their type. A type that is not named here is taken for one that may give the interface its shape.

/** Their packets leave the pod by a path without the node's FORWARD chain: an eBPF or Open vSwitch datapath, or a link of the node's own. */
const UNSEEN = new Set([
  'antrea',
  'cilium-cni',
  'host-device',
  'ib-sriov',
  'ipvlan',
  'kube-ovn',
  'macvlan',
  'ovn-k8s-cni-overlay',
  'ovs',
  'sriov',
  'vlan',
]);

/** They leave the interface's name, place and addresses as they are, so that they may as well come after us. */
const HARMLESS = new Set(['bandwidth', 'firewall', 'istio-cni', 'linkerd-cni', 'portmap', 'sbr', 'tuning']);

/** They join pods by a bridge, also where they delegate. */
const BRIDGING = new Set(['bridge', 'flannel', 'weave-net']);

/** They give pods no network, or another file's. */
const PASSED_OVER: ReadonlyMap<unknown, string> = new Map([
  ['loopback', 'gives pods no address'],
  ['multus', 'runs the plugins of other networks: kube-nwplcy belongs into the one that every pod gets'],
  ['multus-shim', 'runs the plugins of other networks: kube-nwplcy belongs into the one that every pod gets'],
]);

/** Tells whether packets of such a plugin's pods pass no chain of ours. */
export function isUnseen({ type }: { readonly type: string }): boolean {
  return UNSEEN.has(type);
}

/** Tells whether a plugin that comes after ours can do no harm to what we have hooked in. */
export function isHarmless({ type }: { readonly type: string }): boolean {
  return HARMLESS.has(type);
}

/** Tells whether somebody else enforces NetworkPolicy for this plugin's pods, by the same FORWARD chain. */
export function isEnforced({ type, fields }: { readonly type: string; readonly fields: JsonObject }): boolean {
  return type === 'calico' && isObject(fields['policy']);
}

/** Returns why a network that begins with this type of plugin is not the one to be protected, or `undefined` for any that may be. */
export function whyPassedOver(type: unknown): string | undefined {
  return PASSED_OVER.get(type);
}

/** Tells whether a plugin, or what it delegates to, joins pods by a bridge. */
export function isBridging({ type, fields }: { readonly type: string; readonly fields: JsonObject }): boolean {
  const { delegate } = fields;
  const delegated = isObject(delegate) ? delegate['type'] : undefined;
  return typeof delegated === 'string' ? BRIDGING.has(delegated) : BRIDGING.has(type);
}
