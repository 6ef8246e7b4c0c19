import { describe, expect, test } from 'vitest';
import { IP_FAMILIES } from '../../../src/net/family.ts';
import { entryChain, isEntryChain, JUMPS, rejectChain } from '../../../src/rules/iptables/entryChains.ts';

test('our jumps', () => {
  expect(JUMPS).toEqual({
    FORWARD: '-j KUBE-NWPLCY-CHAIN',
    OUTPUT: '-m addrtype ! --src-type LOCAL -j KUBE-NWPLCY-CHAIN',
  });
});

test('the entry chain lets what was judged pass, then asks both ends', () => {
  expect(IP_FAMILIES.map((family) => entryChain(family, { value: 0x30000, mask: 0xffff0000 }))).toMatchInlineSnapshot(`
    [
      {
        "name": "KUBE-NWPLCY-CHAIN",
        "rules": [
          "-m connmark --mark 0x30000/0xffff0000 -j RETURN",
          "-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN",
          "-j NWPLCY-EGRESS",
          "-j NWPLCY-INGRESS",
          "-j CONNMARK --set-xmark 0x30000/0xffff0000",
          "-j RETURN",
        ],
      },
      {
        "name": "KUBE-NWPLCY-CHAIN",
        "rules": [
          "-m connmark --mark 0x30000/0xffff0000 -j RETURN",
          "-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN",
          "-p ipv6-icmp -m icmp6 --icmpv6-type 133 -j RETURN",
          "-p ipv6-icmp -m icmp6 --icmpv6-type 135 -j RETURN",
          "-p ipv6-icmp -m icmp6 --icmpv6-type 136 -j RETURN",
          "-j NWPLCY-EGRESS",
          "-j NWPLCY-INGRESS",
          "-j CONNMARK --set-xmark 0x30000/0xffff0000",
          "-j RETURN",
        ],
      },
    ]
  `);
});

test('every refusal ends in the reject chain', () => {
  expect(IP_FAMILIES.map((family) => rejectChain(family))).toMatchInlineSnapshot(`
    [
      {
        "name": "NWPLCY-REJECT",
        "rules": [
          "-m conntrack --ctstate INVALID -j DROP",
          "-p tcp -m conntrack --ctstate NEW -m conntrack --ctstate DNAT -j REJECT --reject-with icmp-port-unreachable",
          "-p tcp -j REJECT --reject-with tcp-reset",
          "-j REJECT --reject-with icmp-port-unreachable",
        ],
      },
      {
        "name": "NWPLCY-REJECT",
        "rules": [
          "-m conntrack --ctstate INVALID -j DROP",
          "-p tcp -m conntrack --ctstate NEW -m conntrack --ctstate DNAT -j REJECT --reject-with icmp6-port-unreachable",
          "-p tcp -j REJECT --reject-with tcp-reset",
          "-j REJECT --reject-with icmp6-port-unreachable",
        ],
      },
    ]
  `);
});

describe('an entry chain is told by its rules', () => {
  const MARK = { value: 0xab0000, mask: 0xff0000 };

  test.for(IP_FAMILIES)('%s: under whatever generation and mask', (family) => {
    const others = [
      { value: 0x30000, mask: 0xffff0000 },
      { value: 0x1, mask: 0x7fffffff },
    ];
    for (const mark of [MARK, ...others]) {
      expect(isEntryChain(entryChain(family, mark).rules, family)).toBe(true);
    }
  });

  const whole = entryChain('ipv4', MARK).rules;
  const older = entryChain('ipv4', { ...MARK, value: 0xaa0000 }).rules;

  test('with older generations behind it', () => {
    expect(isEntryChain([...whole, ...older, ...whole], 'ipv4')).toBe(true);
  });

  test.for([
    { what: 'an empty chain', rules: [] },
    { what: 'a rule is missing', rules: whole.toSpliced(2, 1) },
    { what: 'a rule is added', rules: [...whole, '-j ACCEPT'] },
    { what: 'a rule is added to an older generation', rules: [...whole, ...older, '-j ACCEPT'] },
    { what: 'there are too many generations', rules: Array.from({ length: 11 }, () => whole).flat() },
    { what: 'a rule is added at the head', rules: ['-s 10.0.0.1/32 -j RETURN', ...whole] },
    { what: 'the order is another', rules: [whole[0], ...whole.slice(1).toReversed()] },
    {
      what: 'another mark is set than is looked for',
      rules: whole.with(whole.length - 2, '-j CONNMARK --set-xmark 0xac0000/0xff0000'),
    },
    { what: 'the mark has no mask', rules: whole.with(0, '-m connmark --mark 0xab0000 -j RETURN') },
    { what: 'it is of the other family', rules: entryChain('ipv6', MARK).rules },
  ])('no entry chain: $what', ({ rules }) => {
    expect(
      isEntryChain(
        rules.filter((rule) => rule !== undefined),
        'ipv4',
      ),
    ).toBe(false);
  });
});
