import { describe, expect, test } from 'vitest';
import { entryChain } from '../../../src/rules/iptables/entryChains.ts';
import { followIptables, type FilterTable } from '../../../src/trace/iptables/follow.ts';
import { generationMark, DEFAULT_MARK_MASK } from '../../../src/rules/mark.ts';
import { packet } from '../../helpers/packet.ts';

const CHAINS: Readonly<Record<string, readonly string[]>> = {
  FORWARD: ['-j KUBE-NWPLCY-CHAIN'],
  'KUBE-NWPLCY-CHAIN': entryChain('ipv4', generationMark(1, DEFAULT_MARK_MASK)).rules,
  'NWPLCY-EGRESS': [],
  'NWPLCY-INGRESS': ['-d 10.0.0.2/32 -m comment --comment "shop/web" -g NWPLCY-PI-WEB'],
  'NWPLCY-PI-WEB': ['-s 10.0.0.2/32 -j RETURN', '-g NWPLCY-PROFILE'],
  'NWPLCY-PROFILE': ['-p tcp -m set --match-set PEERS src -m tcp --dport 80 -j RETURN', '-g NWPLCY-REJECT'],
  'NWPLCY-REJECT': ['-p tcp -j REJECT --reject-with tcp-reset'],
};
const PEERS = 'create PEERS hash:ip family inet\nadd PEERS 10.0.0.1';

interface World {
  readonly chains?: Readonly<Record<string, readonly string[]>>;
  readonly sets?: Readonly<Record<string, string>>;
}

function table({ chains = {}, sets = { PEERS } }: World): FilterTable {
  const all = { ...CHAINS, ...chains };
  return { family: 'ipv4', rulesOf: (chain) => all[chain], setText: (name) => sets[name] };
}

const follow = (world: World = {}, tweaks: Parameters<typeof packet>[0] = {}) =>
  followIptables(table(world), packet({ mark: undefined, ...tweaks }));
const lines = ({ steps }: ReturnType<typeof follow>) => steps.map(({ chain, rule }) => `${chain}: ${rule}`);

test('an allowed packet has met these rules', () => {
  const way = follow();
  expect([way.end, way.packet.connmark]).toEqual(['end', 0x20000]);
  expect(lines(way)).toMatchInlineSnapshot(`
    [
      "FORWARD: -j KUBE-NWPLCY-CHAIN",
      "KUBE-NWPLCY-CHAIN: -j NWPLCY-EGRESS",
      "KUBE-NWPLCY-CHAIN: -j NWPLCY-INGRESS",
      "NWPLCY-INGRESS: -d 10.0.0.2/32 -m comment --comment "shop/web" -g NWPLCY-PI-WEB",
      "NWPLCY-PI-WEB: -g NWPLCY-PROFILE",
      "NWPLCY-PROFILE: -p tcp -m set --match-set PEERS src -m tcp --dport 80 -j RETURN",
      "KUBE-NWPLCY-CHAIN: -j CONNMARK --set-xmark 0x20000/0xffff0000",
      "KUBE-NWPLCY-CHAIN: -j RETURN",
    ]
  `);
});

test('a refused one ends where it is refused', () => {
  const way = follow({}, { destinationPort: 81 });
  expect([way.end, lines(way).at(-1)]).toEqual(['reject', 'NWPLCY-REJECT: -p tcp -j REJECT --reject-with tcp-reset']);
});

test('of ten generations one behind the other the first counts', () => {
  const rules = Array.from(
    { length: 10 },
    (_, index) => entryChain('ipv4', generationMark(10 - index, DEFAULT_MARK_MASK)).rules,
  );
  const way = follow({ chains: { 'KUBE-NWPLCY-CHAIN': rules.flat() } });
  expect([way.end, way.packet.connmark, way.steps.length]).toEqual(['end', 0xb0000, follow().steps.length]);
});

test('what notes addresses in a set goes on', () => {
  const reject = [
    '-j SET --add-set REFUSED src,dst --exist --timeout 60',
    '-j SET --add-set R6 src --timeout 5 --exist',
    '-p tcp -j REJECT --reject-with tcp-reset',
  ];
  const way = follow({ chains: { 'NWPLCY-REJECT': reject } }, { destinationPort: 81 });
  expect([way.end, lines(way).length]).toEqual(['reject', lines(follow({}, { destinationPort: 81 })).length + 2]);
});

test('what is logged goes on', () => {
  const reject = [
    '-m limit --limit 10/sec --limit-burst 20 -j NFLOG --nflog-prefix "nwplcy denied ingress" --nflog-group 5 --nflog-size 128',
    '-j NFLOG --nflog-prefix "of group 0" --nflog-size 128',
    '-p tcp -j REJECT --reject-with tcp-reset',
  ];
  const way = follow({ chains: { 'NWPLCY-REJECT': reject } }, { destinationPort: 81 });
  expect([way.end, lines(way).length]).toEqual(['reject', lines(follow({}, { destinationPort: 81 })).length + 2]);
});

test('of ten thousand members each is found', () => {
  const members = Array.from({ length: 10_000 }, (_, index) => `add PEERS 10.1.${index >> 8}.${index & 255}`);
  const sets = { PEERS: ['create PEERS hash:ip family inet', ...members].join('\n') };
  expect(follow({ sets }, { source: '10.1.39.15' }).end).toBe('end');
  expect(follow({ sets }, { source: '10.1.39.16' }).end).toBe('reject');
});

describe('what nobody understands ends the way, where the packet comes to it', () => {
  test.for([
    { what: 'a match', rule: '-m recent --rcheck -j DROP', reason: 'unknown match "recent"' },
    { what: 'a target', rule: '-j LOG --log-prefix x', reason: '"--log-prefix" stands after the target' },
    { what: 'a chain that is not there', rule: '-j NFLOG', reason: 'there is no chain "NFLOG"' },
    { what: 'no target', rule: '-p tcp', reason: 'the rule has no target' },
    {
      what: 'the mark that others set',
      rule: '-m mark --mark 0x1/0x1 -j DROP',
      reason: 'the mark of the packet is not known',
    },
    {
      what: 'a set that is not there',
      rule: '-m set --match-set GONE src -j DROP',
      reason: 'set "GONE" is not declared',
    },
    {
      what: 'a set of another kind',
      rule: '-m set --match-set PORTS src -j DROP',
      reason: 'line 1 of the sets, "create PORTS bitmap:port',
    },
    {
      what: 'a quote that does not end',
      rule: '-m comment --comment "x -j DROP',
      reason: 'cannot be split into words',
    },
    { what: 'a circle', rule: '-g NWPLCY-EGRESS', reason: 'it goes in a circle' },
  ])('$what', ({ rule, reason }) => {
    const sets = { PEERS, PORTS: 'create PORTS bitmap:port range 1-9' };
    const way = follow({ chains: { 'NWPLCY-EGRESS': [rule] }, sets });
    expect(way.end).toBe('unknown');
    expect(way.reason).toContain(reason);
    expect(lines(way)).toContain(`NWPLCY-EGRESS: ${rule}`);
  });

  test('not where it does not', () => {
    const strange = ['-p tcp -j REJECT --reject-with tcp-reset', '-m recent --rcheck -j DROP'];
    expect(follow({ chains: { 'NWPLCY-REJECT': strange } }, { destinationPort: 81 }).end).toBe('reject');
    expect(follow({ chains: { 'NWPLCY-REJECT': strange.toReversed() } }).end).toBe('end');
  });
});

test('where nothing leads to our chains everything passes', () => {
  expect(follow({ chains: { FORWARD: [] } }, { destinationPort: 81 })).toMatchObject({ end: 'end', steps: [] });
});
