import { describe, expect, test } from 'vitest';
import { parseCidr } from '../../../src/net/cidr.ts';
import type { PeerGroup } from '../../../src/policy/model.ts';
import { HeldSets } from '../../../src/rules/heldSets.ts';
import { addressSets } from '../../../src/rules/iptables/addressSet.ts';
import { parseIpsetSave, planIpsets } from '../../../src/rules/iptables/ipsetPlan.ts';
import { isOurSet, setName } from '../../../src/rules/names.ts';
import { addressPorts, addresses, networks } from '../../helpers/peerGroups.ts';

const CREATED = 'maxelem 4194304';
const BLOCK = networks([parseCidr('fd00::/64')], [parseCidr('fd00::1/128')]);

/** The plan to some groups from the IPv4 sets' members, by the groups' keys. */
function planTo(groups: readonly PeerGroup[], actual: Readonly<Record<string, readonly string[]>> = {}) {
  const held = new HeldSets((group: PeerGroup) => addressSets(group));
  held.found(
    new Map(
      Object.entries(actual).map(([key, members]) => [
        setName('ipv4', key),
        { type: 'hash:ip', members: new Set(members) },
      ]),
    ),
  );
  const { fill, closes } = planIpsets(held.plan(new Map(groups.map((group) => [group.key, group]))).changes);
  return { fill: fill.map((line) => line.replace(/(NWPLCY[46])-[A-Z2-7]{20}/, '$1')), closes };
}

test('a new set is made and filled', () => {
  const ports = [{ address: '10.0.0.1', protocol: 'TCP', port: 80 }] as const;
  expect(planTo([addresses(['10.0.0.1']), BLOCK, addressPorts(ports)])).toEqual({
    fill: [
      `create NWPLCY4 hash:ip family inet ${CREATED}`,
      'add NWPLCY4 10.0.0.1',
      `create NWPLCY6 hash:ip family inet6 ${CREATED}`,
      `create NWPLCY4 hash:net family inet ${CREATED}`,
      `create NWPLCY6 hash:net family inet6 ${CREATED}`,
      'add NWPLCY6 fd00::/64',
      'add NWPLCY6 fd00::1 nomatch',
      `create NWPLCY4 hash:ip,port family inet ${CREATED}`,
      'add NWPLCY4 10.0.0.1,tcp:80',
      `create NWPLCY6 hash:ip,port family inet6 ${CREATED}`,
    ],
    // While the exception was missing, its flows were judged without.
    closes: new Set(['ipv6']),
  });
});

test('members leave before others enter', () => {
  const { fill, closes } = planTo([addresses(['10.0.0.3', '10.0.0.2'])], { addresses: ['10.0.0.1', '10.0.0.2'] });
  expect(fill.slice(0, 2)).toEqual(['del NWPLCY4 10.0.0.1', 'add NWPLCY4 10.0.0.3']);
  expect(closes).toEqual(new Set(['ipv4']));
});

test('a member that enters closes nothing', () => {
  expect(planTo([addresses(['10.0.0.1'])], { addresses: [] }).closes).toEqual(new Set());
});

test.for([
  { what: 'becomes a hole', from: '10.0.0.0/24', to: networks([parseCidr('10.0.0.0/8')], [parseCidr('10.0.0.0/24')]) },
  { what: 'is a hole no longer', from: '10.0.0.0/24 nomatch', to: networks([parseCidr('10.0.0.0/24')]) },
])('a network that $what leaves first', ({ from, to }) => {
  const { fill, closes } = planTo([to], { [to.key]: [from] });
  expect(fill[0]).toBe('del NWPLCY4 10.0.0.0/24');
  expect(fill[1]).toMatch(/^add NWPLCY4 10\.0\.0\.0/);
  expect(closes).toEqual(new Set(['ipv4']));
});

describe('what ipset prints', () => {
  const OURS = setName('ipv4', 'a');
  const read = (text: string) => parseIpsetSave(text, isOurSet);

  test('is read as it is', () => {
    const text = `create ${OURS} hash:ip,port family inet hashsize 1024 maxelem 65536\nadd ${OURS} 10.0.0.1,tcp:80\nadd ${OURS} 10.0.0.1,sctp:80\n`;
    const members = new Set(['10.0.0.1,tcp:80', '10.0.0.1,sctp:80']);
    expect(read(text)).toEqual(new Map([[OURS, { type: 'hash:ip,port', members }]]));
  });

  test('of others is not looked at, whatever it is', () => {
    const text =
      'create KUBE-X bitmap:port range 0-65535\nadd KUBE-X 80 comment "x y"\nswap KUBE-X Y\n\ncreate\nadd\n#\n';
    expect(read(text)).toEqual(new Map());
  });

  test('nothing is nothing', () => {
    expect(read('')).toEqual(new Map());
  });

  test('a member of a set of ours that was not created before is not taken for a set', () => {
    expect(read(`add ${OURS} 10.0.0.1\n`)).toEqual(new Map());
  });

  test.for([`swap ${OURS} X`, `flush ${OURS}`, `Add ${OURS} 10.0.0.1`, ` ${OURS}`])(
    'a line "%s" about a set of ours is an error',
    (line) => {
      expect(() => read(`create ${OURS} hash:ip family inet\n${line}\n`)).toThrow(
        `Cannot read the output of ipset save: unknown line "${line}"`,
      );
    },
  );
});
