import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AddressSet } from '../../../src/rules/iptables/addressSet.ts';
import { parseIpsetSave, planIpsets } from '../../../src/rules/iptables/ipsetPlan.ts';
import { isOurSet, setName } from '../../../src/rules/names.ts';
import { SetTable } from '../../helpers/setTable.ts';

const CREATED = 'maxelem 4194304';

function set(name: string, members: readonly string[]): AddressSet {
  return { name, family: 'ipv4', type: 'hash:net', members: new Set(members) };
}

function wantedOf(sets: readonly AddressSet[]): ReadonlyMap<string, AddressSet> {
  return new Map(sets.map((one) => [one.name, one]));
}

test('a new set is made and filled', () => {
  const sets: readonly AddressSet[] = [
    { name: 'A', family: 'ipv4', type: 'hash:ip', members: new Set(['10.0.0.1']) },
    { name: 'B', family: 'ipv6', type: 'hash:net', members: new Set(['fd00::/64', 'fd00::1 nomatch']) },
    { name: 'C', family: 'ipv4', type: 'hash:ip,port', members: new Set() },
  ];
  expect(planIpsets(new Map(), wantedOf(sets))).toEqual({
    fill: [
      `create A hash:ip family inet ${CREATED}`,
      'add A 10.0.0.1',
      `create B hash:net family inet6 ${CREATED}`,
      'add B fd00::/64',
      'add B fd00::1 nomatch',
      `create C hash:ip,port family inet ${CREATED}`,
    ],
    removed: [],
    stale: [],
  });
});

test('members leave before others enter, a set that is not wanted any more is stale', () => {
  const actual = new Map([
    ['A', { members: new Set(['10.0.0.1', '10.0.0.2']) }],
    ['GONE', { members: new Set(['10.0.0.9']) }],
  ]);
  expect(planIpsets(actual, wantedOf([set('A', ['10.0.0.3', '10.0.0.2'])]))).toEqual({
    fill: ['del A 10.0.0.1', 'add A 10.0.0.3'],
    removed: ['10.0.0.1'],
    stale: ['GONE'],
  });
});

test.for([
  { what: 'becomes a hole', from: '10.0.0.0/24', to: '10.0.0.0/24 nomatch' },
  { what: 'is a hole no longer', from: '10.0.0.0/24 nomatch', to: '10.0.0.0/24' },
])('a network that $what leaves first', ({ from, to }) => {
  const plan = planIpsets(new Map([['A', { members: new Set([from]) }]]), wantedOf([set('A', [to])]));
  expect(plan).toEqual({ fill: ['del A 10.0.0.0/24', `add A ${to}`], removed: ['10.0.0.0/24'], stale: [] });
});

const NETWORKS = ['10.0.0.0/24', '10.0.1.0/24', '10.0.2.0', '192.0.2.0/24', '0.0.0.0/1'];
const NAMES = ['a', 'b', 'c', 'd'].map((key) => setName('ipv4', key));
const network = fc.constantFrom(...NETWORKS, ...NETWORKS.map((text) => `${text} nomatch`));
const members = fc.uniqueArray(network, { selector: (text) => text.replace(' nomatch', ''), maxLength: 5 });
const states = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...NAMES), members), { selector: ([name]) => name, maxLength: 4 })
  .map((entries) => wantedOf(entries.map(([name, list]) => set(name, list))));

test('whatever is there and whatever is wanted, the plan leads from one to the other and then there is nothing to do', () => {
  fc.assert(
    fc.property(fc.array(states, { minLength: 1, maxLength: 5 }), (list) => {
      const table = new SetTable();
      table.restore(['create FOREIGN hash:ip family inet maxelem 10', 'add FOREIGN 10.0.0.1']);
      for (const wanted of list) {
        const actual = parseIpsetSave(table.save(), isOurSet);
        const { fill, removed, stale } = planIpsets(actual, wanted);
        table.restore([...fill, ...stale.map((name) => `destroy ${name}`)]);
        const expected = new Map([...wanted.values()].map((one) => [one.name, one.members]));
        expect(new Map([...table.sets].filter(([name]) => name !== 'FOREIGN'))).toEqual(expected);
        expect(removed.length).toBe(fill.filter((line) => line.startsWith('del ')).length);
        expect(planIpsets(parseIpsetSave(table.save(), isOurSet), wanted)).toEqual({
          fill: [],
          removed: [],
          stale: [],
        });
      }
      expect(table.sets.get('FOREIGN')).toEqual(new Set(['10.0.0.1']));
    }),
  );
});

describe('what ipset prints', () => {
  const OURS = setName('ipv4', 'a');
  const read = (text: string) => parseIpsetSave(text, isOurSet);

  test('is read as it is', () => {
    const text = `create ${OURS} hash:ip,port family inet hashsize 1024 maxelem 65536\nadd ${OURS} 10.0.0.1,tcp:80\nadd ${OURS} 10.0.0.1,sctp:80\n`;
    expect(read(text)).toEqual(new Map([[OURS, { members: new Set(['10.0.0.1,tcp:80', '10.0.0.1,sctp:80']) }]]));
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
