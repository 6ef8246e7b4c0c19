import { IP_FAMILIES, type IpFamily } from '../../net/family.ts';
import type { Cidr } from '../../net/cidr.ts';
import { networksOf } from '../../net/addressRange.ts';
import type { NetworkBlock, PeerGroup } from '../../policy/model.ts';
import { setName } from '../names.ts';
import { SetMembers, type MemberTexts } from '../setMembers.ts';

/** An ipset. Members are in the form in which `ipset save` prints them. */
export interface AddressSet {
  readonly name: string;
  readonly family: IpFamily;
  readonly type: 'hash:ip' | 'hash:net' | 'hash:ip,port';
  readonly members: SetMembers;
}

/** Returns the sets of a peer group, one in each family: the rules of one family must find theirs even while it is empty. */
export function addressSets(group: PeerGroup): readonly AddressSet[] {
  const known = made.get(group);
  if (known !== undefined) return known;
  const sets = IP_FAMILIES.map((family) => ({
    name: setName(family, group.key),
    family,
    type: TYPES[group.kind],
    members: new SetMembers(group, { family, texts: TEXTS }),
  }));
  made.set(group, sets);
  return sets;
}

const made = new WeakMap<PeerGroup, readonly AddressSet[]>();

const TYPES = { addresses: 'hash:ip', networks: 'hash:net', addressPorts: 'hash:ip,port' } as const;

const TEXTS: MemberTexts = {
  networks: (blocks, family) => networkMembers(blocks, family),
  addressPort: ({ address, protocol, port }) => `${address},${protocol.toLowerCase()}:${port}`,
};

/**
 * The longest prefix decides in hash:net, so that a `nomatch` member cuts a hole, out of a neighbour too: where there are several networks they are
 * written without their holes.
 */
function networkMembers(blocks: readonly NetworkBlock[], family: IpFamily): readonly string[] {
  const own = blocks.filter(({ cidr }) => cidr.family === family);
  const [first] = own;
  if (own.length !== 1 || first === undefined) {
    const isHoled = own.some(({ except }) => except.length > 0);
    const members = isHoled ? networksOf(own, family) : own.map(({ cidr }) => cidr);
    return [...new Set(members.flatMap(networks))];
  }
  const holes = new Set(first.except.flatMap(networks));
  const members = networks(first.cidr).filter((network) => !holes.has(network));
  return [...members, ...[...holes].map((network) => `${network} nomatch`)];
}

/** hash:net refuses the prefix 0, and prints a single host without its prefix. */
function networks({ text, family }: Cidr): readonly string[] {
  if (text.endsWith('/0')) return family === 'ipv4' ? ['0.0.0.0/1', '128.0.0.0/1'] : ['::/1', '8000::/1'];
  const host = family === 'ipv4' ? '/32' : '/128';
  return [text.endsWith(host) ? text.slice(0, -host.length) : text];
}
