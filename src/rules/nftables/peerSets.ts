import { rangesOf } from '../../net/addressRange.ts';
import { IP_FAMILIES, type IpFamily } from '../../net/family.ts';
import type { PeerGroup } from '../../policy/model.ts';
import type { FoundSet } from '../heldSets.ts';
import { SetMembers, type MemberTexts } from '../setMembers.ts';
import { isNftPeerSet, nftSetName } from './names.ts';
import type { NftTable } from './table.ts';

/** A set of a peer group in the `inet` table. */
export interface NftPeerSet {
  readonly name: string;
  /** As in `NftSet`. */
  readonly type: string;
  readonly comment: string;
  readonly members: SetMembers;
}

/** Returns the sets of a peer group, one in each family: the rules of one family must find theirs even while it is empty. */
export function peerSets(group: PeerGroup): readonly NftPeerSet[] {
  const known = made.get(group);
  if (known !== undefined) return known;
  const sets = IP_FAMILIES.map((family) => ({
    name: nftSetName(family, group.key),
    type: typeOf(group, family),
    comment: group.key,
    members: new SetMembers(group, { family, texts: TEXTS }),
  }));
  made.set(group, sets);
  return sets;
}

const made = new WeakMap<PeerGroup, readonly NftPeerSet[]>();

function typeOf({ kind }: PeerGroup, family: IpFamily): string {
  const type = `type ${family}_addr`;
  switch (kind) {
    case 'addresses':
      return type;
    case 'networks':
      return `${type}; flags interval`;
    case 'addressPorts':
      return `${type} . inet_service`;
  }
}

const TEXTS: MemberTexts = {
  networks: (blocks, family) => rangesOf(blocks, family),
  // The group's key names the protocol: all of its members have the same.
  addressPort: ({ address, port }) => `${address} . ${port}`,
};

/** Returns a table without the sets of peers, and these apart. */
export function withoutPeers(table: NftTable): {
  readonly table: NftTable;
  readonly peers: ReadonlyMap<string, FoundSet>;
} {
  const sets = new Map(table.sets);
  const peers = new Map<string, FoundSet>();
  let isStrange = table.isStrange === true;
  for (const [name, { kind, type, elements }] of table.sets) {
    if (!isNftPeerSet(name)) continue;
    sets.delete(name);
    peers.set(name, { type, members: elements });
    // It may lead to chains, which ours never do.
    isStrange ||= kind === 'map';
  }
  return { table: { ...table, isStrange, sets }, peers };
}
