import type { LabelSelector } from '../kube/labelSelector.ts';
import type { NetworkPolicy, Peer, PolicyPort } from '../kube/networkPolicy.ts';
import type { NetworkBlock } from './model.ts';
import { selectorKey } from './selector.ts';

/** Who a peer with selectors means: `namespaces` is one namespace by name or all that a selector selects. */
export interface PodScope {
  readonly namespaces: string | LabelSelector;
  readonly pods: LabelSelector;
}

/** A port by its name and protocol. */
export type PortName = Pick<Extract<PolicyPort, { kind: 'named' }>, 'name' | 'protocol'>;

/** What a peer group is made of, whoever that is at the moment. Equal keys mean equal definitions. */
export type GroupDefinition =
  | { readonly kind: 'addresses'; readonly key: string; readonly scopes: readonly PodScope[] }
  | { readonly kind: 'networks'; readonly key: string; readonly blocks: readonly NetworkBlock[] }
  | {
      readonly kind: 'addressPorts';
      readonly key: string;
      readonly port: PortName;
      /** Whose ports: those of pods in scope, of pods with an address in the block, or of all. */
      readonly of: PodScope | NetworkBlock | 'all';
    };

const EVERYTHING: LabelSelector = { matchLabels: new Map(), matchExpressions: [] };

/** Without a namespaceSelector a peer means pods of the policy's own namespace; without a podSelector all pods of the namespaces. */
export function scopeOf(peer: Extract<Peer, { kind: 'pods' }>, { namespace }: NetworkPolicy): PodScope {
  return { namespaces: peer.namespaceSelector ?? namespace, pods: peer.podSelector ?? EVERYTHING };
}

/** Returns a text that is equal for two scopes just when they say the same. */
export function scopeKey({ namespaces, pods }: PodScope): string {
  return `${namespacesKey(namespaces)} ${selectorKey(pods)}`;
}

/** Returns a text that is equal just when the namespaces are named by the same name or by selectors that say the same. */
export function namespacesKey(namespaces: PodScope['namespaces']): string {
  // In brackets a selector cannot be taken for a namespace's name.
  return typeof namespaces === 'string' ? namespaces : `[${selectorKey(namespaces)}]`;
}

/** Returns the group of the addresses of all pods in any of the scopes. */
export function addressGroup(scopes: readonly PodScope[]): GroupDefinition {
  const byKey = new Map(scopes.map((scope) => [scopeKey(scope), scope] as const));
  const keys = [...byKey.keys()].sort();
  return { kind: 'addresses', key: `addresses ${keys.join(' | ')}`, scopes: [...byKey.values()] };
}

/** Returns the group of all addresses in any of the blocks. An exception cuts nothing out of a neighbour. */
export function networkGroup(blocks: readonly NetworkBlock[]): GroupDefinition {
  const byKey = new Map(blocks.map((block) => [blockKey(block), block] as const));
  const keys = [...byKey.keys()].sort();
  return { kind: 'networks', key: `networks ${keys.join(' | ')}`, blocks: keys.flatMap((key) => byKey.get(key) ?? []) };
}

/** Returns the group of addresses and ports under which peers of an egress rule have a named port. */
export function addressPortGroup(of: PodScope | NetworkBlock | 'all', port: PortName): GroupDefinition {
  const whose = of === 'all' ? 'any' : 'cidr' in of ? blockKey(of) : scopeKey(of);
  return { kind: 'addressPorts', key: `addressPorts ${port.protocol} ${port.name} ${whose}`, port, of };
}

function blockKey({ cidr, except }: NetworkBlock): string {
  const holes = [...new Set(except.map(({ text }) => text))].sort().join(' ');
  return holes === '' ? cidr.text : `${cidr.text} except ${holes}`;
}
