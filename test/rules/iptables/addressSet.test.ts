import { describe, expect, test } from 'vitest';
import { parseCidr } from '../../../src/net/cidr.ts';
import type { PeerGroup } from '../../../src/policy/model.ts';
import { addressPorts, addresses, networks } from '../../helpers/peerGroups.ts';
import { addressSets } from '../../../src/rules/iptables/addressSet.ts';

/** The sets of a group with their members in order, family by family. */
function setsOf(group: PeerGroup) {
  return addressSets(group).map(({ name, family, type, members }) => ({
    name: name.replace(/-[A-Z2-7]{20}$/, '-…'),
    family,
    type,
    members: [...members],
  }));
}

const membersOf = (group: PeerGroup) => addressSets(group).map(({ members }) => [...members]);

test('addresses: one set a family', () => {
  expect(setsOf(addresses(['10.0.0.1', 'fd00::1', '10.0.0.2']))).toEqual([
    { name: 'NWPLCY4-…', family: 'ipv4', type: 'hash:ip', members: ['10.0.0.1', '10.0.0.2'] },
    { name: 'NWPLCY6-…', family: 'ipv6', type: 'hash:ip', members: ['fd00::1'] },
  ]);
});

test('nobody: both sets are there and empty', () => {
  expect(setsOf(addresses([]))).toEqual([
    { name: 'NWPLCY4-…', family: 'ipv4', type: 'hash:ip', members: [] },
    { name: 'NWPLCY6-…', family: 'ipv6', type: 'hash:ip', members: [] },
  ]);
});

test('addresses with ports, of every protocol', () => {
  const members = [
    { address: '10.0.0.1', protocol: 'TCP', port: 80 },
    { address: '10.0.0.1', protocol: 'UDP', port: 53 },
    { address: 'fd00::1', protocol: 'SCTP', port: 65_535 },
  ] as const;
  expect(setsOf(addressPorts(members))).toEqual([
    { name: 'NWPLCY4-…', family: 'ipv4', type: 'hash:ip,port', members: ['10.0.0.1,tcp:80', '10.0.0.1,udp:53'] },
    { name: 'NWPLCY6-…', family: 'ipv6', type: 'hash:ip,port', members: ['fd00::1,sctp:65535'] },
  ]);
});

describe('networks', () => {
  test('of both families', () => {
    expect(setsOf(networks(['10.0.0.0/8', '2001:db8::/32', '192.0.2.0/24'].map(parseCidr)))).toEqual([
      { name: 'NWPLCY4-…', family: 'ipv4', type: 'hash:net', members: ['10.0.0.0/8', '192.0.2.0/24'] },
      { name: 'NWPLCY6-…', family: 'ipv6', type: 'hash:net', members: ['2001:db8::/32'] },
    ]);
  });

  test.for([
    {
      rule: 'an except is a member that does not match',
      cidr: '10.0.0.0/8',
      except: ['10.1.0.0/16'],
      ipv4: ['10.0.0.0/8', '10.1.0.0/16 nomatch'],
      ipv6: [],
    },
    {
      rule: 'of a whole family are two halves',
      cidr: '0.0.0.0/0',
      except: [],
      ipv4: ['0.0.0.0/1', '128.0.0.0/1'],
      ipv6: [],
    },
    { rule: 'of the other whole family too', cidr: '::/0', except: [], ipv4: [], ipv6: ['::/1', '8000::/1'] },
    {
      rule: 'an except that is half of everything leaves the other',
      cidr: '0.0.0.0/0',
      except: ['128.0.0.0/1'],
      ipv4: ['0.0.0.0/1', '128.0.0.0/1 nomatch'],
      ipv6: [],
    },
    { rule: 'so it is with IPv6', cidr: '::/0', except: ['::/1'], ipv4: [], ipv6: ['8000::/1', '::/1 nomatch'] },
    {
      rule: 'both halves leave nothing',
      cidr: '0.0.0.0/0',
      except: ['0.0.0.0/1', '128.0.0.0/1'],
      ipv4: ['0.0.0.0/1 nomatch', '128.0.0.0/1 nomatch'],
      ipv6: [],
    },
    { rule: 'a single host has no prefix', cidr: '10.0.0.1/32', except: [], ipv4: ['10.0.0.1'], ipv6: [] },
    {
      rule: 'an excepted host neither',
      cidr: 'fd00::/64',
      except: ['fd00::1/128'],
      ipv4: [],
      ipv6: ['fd00::/64', 'fd00::1 nomatch'],
    },
  ])('$rule', ({ cidr, except, ipv4, ipv6 }) => {
    expect(membersOf(networks([parseCidr(cidr)], except.map(parseCidr)))).toEqual([ipv4, ipv6]);
  });

  test('of several blocks are written without their holes, which would cut into the neighbours', () => {
    const blocks = ['10.0.0.0/30', '10.0.0.0/29'].map(parseCidr);
    expect(membersOf(networks(blocks, [parseCidr('10.0.0.1/32')]))).toEqual([
      ['10.0.0.0', '10.0.0.2/31', '10.0.0.4/30'],
      [],
    ]);
  });
});

test('the sets of one group are the same objects each time', () => {
  const group = addresses(['10.0.0.1']);
  expect(addressSets(group)).toBe(addressSets(group));
});
