import { describe, expect, test } from 'vitest';
import { parseTable } from '../../../src/rules/nftables/listing.ts';
import { followNftables } from '../../../src/trace/nftables/follow.ts';
import type { Packet } from '../../../src/trace/packet.ts';
import { NftRuleset } from '../../helpers/nftRuleset.ts';
import { packet } from '../../helpers/packet.ts';
import { traceNft } from '../../helpers/traceNft.ts';

const SETS = `
	set peers4 {
		type ipv4_addr
		elements = { 10.0.0.1, 10.0.0.9 }
	}

	set ports4 {
		type ipv4_addr . inet_service
		elements = { 10.0.0.2 . 80 }
	}

	set blocks4 {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/31, 10.0.0.7-10.0.0.9 }
	}

	set ports {
		type ifname
		elements = { "eth0", "veth1" }
	}

	map to4 {
		type ipv4_addr : verdict
		elements = { 10.0.0.2 comment "shop/web, the first" : goto to-web, 10.0.0.3 : jump to-web }
	}
`;

/** Returns the text of a table whose chain \`forward\` holds the rules. */
function tableText(rules: readonly string[]): string {
  return `table inet kube-nwplcy {${SETS}
	chain to-web {
		tcp dport 80 return
		drop
	}

	chain forward {
		type filter hook forward priority -10; policy accept;
${rules.map((rule) => `\t\t${rule}\n`).join('')}	}
}
`;
}

const PACKETS: readonly Packet[] = [
  packet(),
  packet({ destinationPort: 81 }),
  packet({ destination: '10.0.0.3' }),
  packet({ source: '10.0.0.8', destination: '10.0.0.4', inInterface: 'veth1' }),
  packet({ protocol: 'udp', ctstate: 'ESTABLISHED', ctdir: 'REPLY', connmark: 0x1_0007 }),
  packet({ family: 'ipv6', source: 'fd00::1', destination: 'fd00::2', connmark: 0x1_0000, dnat: true }),
];

const follow = (rules: readonly string[], one = packet({ mark: undefined })) =>
  followNftables({ inet: parseTable(tableText(rules)), bridge: undefined }, one);

describe('a rule means what another reader says', () => {
  test.for([
    'ip saddr 10.0.0.1 drop',
    'ip saddr != 10.0.0.1 drop',
    'ip saddr 10.0.0.0/29 drop',
    'ip saddr { 10.0.0.8, 10.0.0.1 } drop',
    'ip6 saddr != { fe80::/10, :: } drop',
    'ip6 daddr fd00::/64 drop',
    'ip saddr @peers4 drop',
    'ip saddr != @peers4 drop',
    'ip daddr . tcp dport @ports4 drop',
    'ip saddr @blocks4 drop',
    'ip daddr vmap @to4',
    'ip saddr vmap { 10.0.0.1 : drop, 10.0.0.8 : jump to-web }',
    'tcp dport vmap { 80 : goto to-web, 81-90 : drop }',
    'tcp dport { 1-79, 81 } drop',
    'udp dport 80 drop',
    'meta l4proto tcp drop',
    'meta l4proto { tcp, udp } reject',
    'meta l4proto tcp reject with tcp reset',
    'reject with tcp reset',
    'reject with icmp port-unreachable',
    'reject with icmpv6 port-unreachable',
    'th dport 80 drop',
    'meta nfproto ipv6 drop',
    'iifname "veth1" drop',
    'iifname @ports drop',
    'oifname "eth1" drop',
    'ct state established,related drop',
    'ct state new ct status dnat reject',
    'ct direction reply accept\n\t\tdrop',
    'ct mark & 0xffff0000 == 0x00010000 drop',
    'ct mark 0x00010000/16 drop',
    'ct mark set ct mark & 0x0001ffff | 0x00020000\n\t\tct mark & 0xffff0000 == 0x00030000 drop',
    'ct mark set ct mark | 0x00020000\n\t\tct mark 0x00020000 drop',
    'jump to-web\n\t\tdrop',
    'return\n\t\tdrop',
    'tcp dport 80 return comment "shop/web: { a, b }"\n\t\tdrop',
  ])('%s', (text) => {
    const ruleset = NftRuleset.of(tableText(text.split('\n\t\t')));
    const read = (one: Packet) => {
      const { end, reason, steps, packet: left } = follow(text.split('\n\t\t'), one);
      return { verdict: end === 'unknown' ? reason : end, mark: left.connmark, rules: steps.length };
    };
    expect(PACKETS.map(read)).toEqual(
      PACKETS.map((one) => {
        const { verdict, mark, matchedRules } = traceNft(ruleset, one);
        return { verdict, mark, rules: matchedRules.length };
      }),
    );
  });
});

test('counters, and what notes addresses in a set, go on', () => {
  const rules = [
    'counter',
    'ip saddr 10.0.0.1 counter packets 7 bytes 420 comment "seen"',
    'update @refused { ip saddr . ip daddr . tcp dport timeout 1m limit rate 10/second } comment "noted"',
    'add @refused { meta cpu . ip saddr } comment "whatever it is"',
    'add @refused { ip saddr } drop',
  ];
  expect(follow(rules)).toMatchObject({ end: 'drop', steps: rules.map((rule) => ({ chain: 'inet forward', rule })) });
});

test('what is logged goes on, but nothing else may hang on how many are', () => {
  const log = 'limit rate 10/second burst 20 packets log prefix "nwplcy denied ingress" group 0 snaplen 128';
  expect(follow([log, 'drop'])).toMatchObject({ end: 'drop', steps: [{ rule: log }, { rule: 'drop' }] });
  for (const rule of [`${log} drop`, 'limit rate over 1/second burst 5 packets drop', 'log prefix "x" drop'])
    expect(follow([rule, 'drop'])).toMatchObject({ end: 'unknown' });
});

test('what cannot be noted gets no further than that', () => {
  const rules = ['update @refused { ip saddr . tcp dport } drop', 'add @refused { ip6 saddr timeout 1m } drop'];
  expect([{}, { protocol: 'udp' } as const].map((tweaks) => follow(rules, packet(tweaks)).end)).toEqual([
    'drop',
    'accept',
  ]);
  expect(follow(['add @refused { meta cpu . ip saddr } drop'])).toMatchObject({ end: 'unknown' });
});

test('of ten generations one behind the other the first counts', () => {
  const rules = Array.from({ length: 10 }, (_, index) => [
    `ct mark set ct mark & 0x000fffff | 0x000${9 - index}0000`,
    'return',
  ]);
  expect(follow(rules.flat()).packet.connmark).toBe(0x9_0000);
});

test('of ten thousand members each is found', () => {
  const members = Array.from({ length: 10_000 }, (_, index) => `10.1.${index >> 8}.${index & 255}`);
  const text = tableText(['ip saddr @peers4 drop', 'ip daddr @blocks4 reject']).replace(
    '10.0.0.1, 10.0.0.9',
    members.join(', '),
  );
  const inet = parseTable(text.replace('10.0.0.0/31, 10.0.0.7-10.0.0.9', members.map((one) => `${one}/32`).join(', ')));
  const end = (tweaks: Partial<Packet>) => followNftables({ inet, bridge: undefined }, packet(tweaks)).end;
  expect(['10.1.39.15', '10.1.39.16'].map((source) => end({ source }))).toEqual(['drop', 'accept']);
  expect(['10.1.39.15', '10.1.39.16'].map((destination) => end({ destination }))).toEqual(['reject', 'accept']);
});

describe('what nobody understands ends the way, where the packet comes to it', () => {
  test.for([
    { rule: 'meta cpu 0 drop', reason: '"meta cpu 0" is not known' },
    { rule: 'limit rate 1/second drop', reason: '"limit rate 1/second" is not known' },
    { rule: 'log prefix "x" drop', reason: '"log prefix "x"" is not known' },
    { rule: 'meta mark 0x1 drop', reason: '"meta mark 0x1" is not known' },
    { rule: 'ip protocol tcp drop', reason: '"ip protocol tcp" is not known' },
    { rule: 'iifname "veth*" drop', reason: '"veth*" is not one name' },
    { rule: 'tcp dport http drop', reason: '"http" is not a number' },
    { rule: 'ip saddr somebody drop', reason: 'is not an ipv4 address' },
    { rule: 'ip saddr @gone drop', reason: 'there is no set "@gone"' },
    { rule: 'ip saddr vmap { 10.0.0.1 : queue }', reason: '"queue" is no verdict that is known' },
    { rule: 'goto gone', reason: 'there is no chain "gone"' },
    { rule: 'ip saddr', reason: 'the rule ends too early' },
    { rule: 'tcp dport { 80', reason: '"}" is missing' },
    { rule: 'ip saddr 10.0.0.1 masquerade', reason: '"masquerade" is not known' },
  ])('$rule', ({ rule, reason }) => {
    const way = follow([rule]);
    expect(way.end).toBe('unknown');
    expect(way.reason).toContain(reason);
    expect(way.steps).toEqual([{ chain: 'inet forward', rule }]);
  });

  test('not where it does not, be it behind a match that fails', () => {
    expect(follow(['ip saddr 10.0.0.7 meta cpu 0 drop', 'tcp dport 81 masquerade']).end).toBe('accept');
    expect(follow(['drop', 'meta cpu 0 accept']).end).toBe('drop');
  });

  test('a set that packets fill', () => {
    const text = tableText(['ip saddr @seen drop']).replace(
      '\n\tset peers4',
      '\n\tset seen {\n\t\ttype ipv4_addr\n\t\tflags dynamic,timeout\n\t}\n\n\tset peers4',
    );
    expect(followNftables({ inet: parseTable(text), bridge: undefined }, packet())).toMatchObject({
      end: 'unknown',
      reason: 'what packets put into a set is not looked at',
    });
  });
});

test('the policy of a base chain decides at its end, and chains are called by their priority', () => {
  const text = `table inet kube-nwplcy {
	chain late {
		type filter hook forward priority 5; policy drop;
	}

	chain early {
		type filter hook forward priority -20; policy accept;
		tcp dport 80 reject
	}
}
`;
  const end = (tweaks: Partial<Packet>) =>
    followNftables({ inet: parseTable(text), bridge: undefined }, packet(tweaks)).end;
  expect([end({}), end({ destinationPort: 81 })]).toEqual(['reject', 'drop']);
});

test('where there is no table everything passes', () => {
  expect(followNftables({ inet: undefined, bridge: undefined }, packet())).toMatchObject({ end: 'accept', steps: [] });
});
