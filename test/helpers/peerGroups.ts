import type { Cidr } from '../../src/net/cidr.ts';
import type { AddressPort, MemberChange, NetworkBlock, PeerGroup } from '../../src/policy/model.ts';

let versions = 1_000_000;

/** Returns a group of addresses with these members; `before`: what it was, if that is known. */
export function addresses(
  members: readonly string[],
  { key = 'addresses', before }: { readonly key?: string; readonly before?: PeerGroup } = {},
): PeerGroup {
  return { kind: 'addresses', key, members: new Set(members), version: nextVersion(), since: sinceOf(members, before) };
}

/** Returns a group of addresses with ports. */
export function addressPorts(members: readonly AddressPort[]): PeerGroup {
  const key = 'addressPorts';
  return { kind: 'addressPorts', key, members: new Set(members), version: nextVersion(), since: undefined };
}

/** Returns a group of networks, each with the same exceptions. */
export function networks(cidrs: readonly Cidr[], except: readonly Cidr[] = []): PeerGroup {
  const blocks: readonly NetworkBlock[] = cidrs.map((cidr) => ({ cidr, except }));
  return { kind: 'networks', key: `networks ${JSON.stringify(blocks)}`, blocks };
}

function nextVersion(): number {
  versions += 1;
  return versions;
}

function sinceOf(members: readonly string[], before: PeerGroup | undefined): MemberChange<string> | undefined {
  if (before?.kind !== 'addresses') return undefined;
  const [was, is] = [new Set(before.members), new Set(members)];
  return { version: before.version, added: [...is.difference(was)], removed: [...was.difference(is)] };
}
