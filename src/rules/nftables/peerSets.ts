import { rangesOf } from '../../net/addressRange.ts';
import { IP_FAMILIES, familyOf, type IpFamily } from '../../net/family.ts';
import type { PeerGroup } from '../../policy/model.ts';
import { nftSetName } from './names.ts';
import { bareElements, type NftSet } from './table.ts';

/** Returns the sets of a peer group by name, one in each family: the rules of one family must find theirs even while it is empty. */
export function peerSets(group: PeerGroup): readonly (readonly [string, NftSet])[] {
  return IP_FAMILIES.map((family) => [
    nftSetName(family, group.key),
    { kind: 'set', comment: group.key, ...content(group, family) },
  ]);
}

function content(group: PeerGroup, family: IpFamily): Pick<NftSet, 'type' | 'elements'> {
  const type = `type ${family}_addr`;
  switch (group.kind) {
    case 'addresses':
      return { type, elements: bareElements(group.members.filter((address) => familyOf(address) === family)) };
    case 'networks':
      return { type: `${type}; flags interval`, elements: bareElements(rangesOf(group, family)) };
    case 'addressPorts': {
      const members = group.members.filter(({ address }) => familyOf(address) === family);
      // The group's key names the protocol: all of its members have the same.
      return {
        type: `${type} . inet_service`,
        elements: bareElements(members.map(({ address, port }) => `${address} . ${port}`)),
      };
    }
  }
}
