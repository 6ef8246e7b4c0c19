import { IP_FAMILIES, familyOf, type IpFamily } from '../../net/family.ts';
import type { Cidr } from '../../net/cidr.ts';
import type { PeerGroup } from '../../policy/model.ts';
import { setName } from '../names.ts';

/** An ipset. Members are in the form in which `ipset save` prints them. */
export interface AddressSet {
  readonly name: string;
  readonly family: IpFamily;
  readonly type: 'hash:ip' | 'hash:net' | 'hash:ip,port';
  readonly members: ReadonlySet<string>;
}

/** Returns the sets of a peer group, one in each family: the rules of one family must find theirs even while it is empty. */
export function addressSets(group: PeerGroup): readonly AddressSet[] {
  return IP_FAMILIES.map((family) => ({ name: setName(family, group.key), family, ...content(group, family) }));
}

function content(group: PeerGroup, family: IpFamily): Pick<AddressSet, 'type' | 'members'> {
  switch (group.kind) {
    case 'addresses':
      return { type: 'hash:ip', members: new Set(group.members.filter((address) => familyOf(address) === family)) };
    case 'networks':
      return { type: 'hash:net', members: networkMembers(group, family) };
    case 'addressPorts': {
      const members = group.members.filter(({ address }) => familyOf(address) === family);
      return {
        type: 'hash:ip,port',
        members: new Set(members.map(({ address, protocol, port }) => `${address},${protocol.toLowerCase()}:${port}`)),
      };
    }
  }
}

/** The longest prefix decides in hash:net, so that a `nomatch` member cuts a hole. Where a network is both, the hole wins. */
function networkMembers(
  { cidrs, except }: { readonly cidrs: readonly Cidr[]; readonly except: readonly Cidr[] },
  family: IpFamily,
): ReadonlySet<string> {
  const holes = new Set(except.filter((cidr) => cidr.family === family).flatMap(networks));
  const members = cidrs
    .filter((cidr) => cidr.family === family)
    .flatMap(networks)
    .filter((network) => !holes.has(network));
  return new Set([...members, ...[...holes].map((network) => `${network} nomatch`)]);
}

/** hash:net refuses the prefix 0, and prints a single host without its prefix. */
function networks({ text, family }: Cidr): readonly string[] {
  if (text.endsWith('/0')) return family === 'ipv4' ? ['0.0.0.0/1', '128.0.0.0/1'] : ['::/1', '8000::/1'];
  const host = family === 'ipv4' ? '/32' : '/128';
  return [text.endsWith(host) ? text.slice(0, -host.length) : text];
}
