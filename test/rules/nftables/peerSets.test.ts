import { describe, expect, test } from 'vitest';
import { parseCidr } from '../../../src/net/cidr.ts';
import type { PeerGroup } from '../../../src/policy/model.ts';
import { addressPorts, addresses, networks } from '../../helpers/peerGroups.ts';
import { nftSetName } from '../../../src/rules/nftables/names.ts';
import { peerSets } from '../../../src/rules/nftables/peerSets.ts';
import { setName } from '../../../src/rules/names.ts';

/** The type and the elements of a group's sets, IPv4 first. */
function written(group: PeerGroup) {
  return peerSets(group).map(({ type, members }) => [type, [...members]]);
}

describe('a peer group is a set in each family', () => {
  test('named by its key, whoever is in it', () => {
    const group = addresses([], { key: 'some key' });
    expect(peerSets(group).map(({ name, comment }) => [name, comment])).toEqual([
      [nftSetName('ipv4', 'some key'), 'some key'],
      [nftSetName('ipv6', 'some key'), 'some key'],
    ]);
    const more = addresses(['10.0.0.1'], { key: 'some key' });
    expect(peerSets(more).map(({ name }) => name)).toEqual(peerSets(group).map(({ name }) => name));
  });

  test('of addresses', () => {
    expect(written(addresses(['10.0.0.1', 'fd00::1', '10.0.0.2']))).toEqual([
      ['type ipv4_addr', ['10.0.0.1', '10.0.0.2']],
      ['type ipv6_addr', ['fd00::1']],
    ]);
  });

  test('of networks, with the exceptions cut out', () => {
    const cidrs = ['10.0.0.0/24', '2001:db8::/32'].map(parseCidr);
    const except = ['10.0.0.0/26', '2001:db8::/33'].map(parseCidr);
    expect(written(networks(cidrs, except))).toEqual([
      ['type ipv4_addr; flags interval', ['10.0.0.64-10.0.0.255']],
      ['type ipv6_addr; flags interval', ['2001:db8:8000::/33']],
    ]);
  });

  test('of addresses with ports', () => {
    const members = ['10.0.0.1', 'fd00::1'].map((address) => ({ address, protocol: 'TCP', port: 80 }) as const);
    expect(written(addressPorts(members))).toEqual([
      ['type ipv4_addr . inet_service', ['10.0.0.1 . 80']],
      ['type ipv6_addr . inet_service', ['fd00::1 . 80']],
    ]);
  });
});

// Never change: an agent of the next version must find what this one left, and either backend's sets by the other's names.
test('names end in the digest that the iptables backend gives them', () => {
  expect(nftSetName('ipv4', 'key')).toBe(`peers4-${setName('ipv4', 'key').slice(-20)}`);
  expect(nftSetName('ipv6', 'key')).toMatch(/^peers6-[A-Z2-7]{20}$/);
});
