import { describe, expect, test } from 'vitest';
import { IP_FAMILIES } from '../../../src/net/family.ts';
import { podHookRules } from '../../../src/rules/iptables/hooks.ts';
import { podChains } from '../../../src/rules/iptables/podChains.ts';
import type { PodHooks, PodJudgements } from '../../../src/rules/pod.ts';

const bridged: PodHooks = {
  containerId: 'b1946ac92492d2347c6235b4d2611184',
  ifName: 'eth0',
  namespace: 'shop',
  name: 'web-0',
  addresses: ['10.244.1.10', 'fd00:10:244:1::10'],
  hostInterface: 'veth1a2b3c4d',
  bridged: true,
};

const open: PodJudgements = { ingress: { kind: 'open' }, egress: { kind: 'open' } };
const quarantine: PodJudgements = { ingress: { kind: 'quarantine' }, egress: { kind: 'quarantine' } };
const profiles: PodJudgements = {
  ingress: { kind: 'profile', chain: 'NWPLCY-AAAAAAAAAAAAAAAAAAAA' },
  egress: { kind: 'profile', chain: 'NWPLCY-BBBBBBBBBBBBBBBBBBBB' },
};

/** What is written for a pod, family by family, as lines. */
function text(hooks: PodHooks, judgements: PodJudgements): string {
  const lines = IP_FAMILIES.flatMap((family) => {
    const chains = podChains(hooks, { family, judgements });
    return [
      `${family}:`,
      ...podHookRules(hooks, family).map(({ chain, rule }) => `${chain} ${rule}`),
      ...chains.flatMap(({ name, rules: content }) => [`:${name}`, ...content.map((rule) => `${name} ${rule}`)]),
    ];
  });
  return lines.join('\n');
}

test('a pod on a bridge, not isolated', () => {
  expect(text(bridged, open)).toMatchInlineSnapshot(`
    "ipv4:
    NWPLCY-EGRESS -m physdev --physdev-in veth1a2b3c4d -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-SOURCES -s 10.244.1.10/32 -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-INGRESS -d 10.244.1.10/32 -m comment --comment "shop/web-0" -g NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    :NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -s 10.244.1.10/32 -j RETURN
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -j RETURN
    :NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -d 10.244.1.10/32 -j RETURN
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -s 10.244.1.10/32 -j RETURN
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -j DROP
    ipv6:
    NWPLCY-EGRESS -m physdev --physdev-in veth1a2b3c4d -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-SOURCES -s fd00:10:244:1::10/128 -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-INGRESS -d fd00:10:244:1::10/128 -m comment --comment "shop/web-0" -g NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    :NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -s fd00:10:244:1::10/128 -j RETURN
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -j RETURN
    :NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -d fd00:10:244:1::10/128 -j RETURN
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -s fd00:10:244:1::10/128 -j RETURN
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -j DROP"
  `);
});

test('a pod with an interface of its own, isolated both ways', () => {
  expect(text({ ...bridged, bridged: false }, profiles)).toMatchInlineSnapshot(`
    "ipv4:
    NWPLCY-EGRESS -i veth1a2b3c4d -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-SOURCES -s 10.244.1.10/32 -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-INGRESS -d 10.244.1.10/32 -m comment --comment "shop/web-0" -g NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    :NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -s 10.244.1.10/32 -j RETURN
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -g NWPLCY-AAAAAAAAAAAAAAAAAAAA
    :NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -d 10.244.1.10/32 -j RETURN
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -s 10.244.1.10/32 -g NWPLCY-BBBBBBBBBBBBBBBBBBBB
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -j DROP
    ipv6:
    NWPLCY-EGRESS -i veth1a2b3c4d -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-SOURCES -s fd00:10:244:1::10/128 -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-INGRESS -d fd00:10:244:1::10/128 -m comment --comment "shop/web-0" -g NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    :NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -s fd00:10:244:1::10/128 -j RETURN
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -g NWPLCY-AAAAAAAAAAAAAAAAAAAA
    :NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -d fd00:10:244:1::10/128 -j RETURN
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -s fd00:10:244:1::10/128 -g NWPLCY-BBBBBBBBBBBBBBBBBBBB
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -j DROP"
  `);
});

test('a pod that nobody knows yet is refused everything but itself', () => {
  expect(text(bridged, quarantine)).toMatchInlineSnapshot(`
    "ipv4:
    NWPLCY-EGRESS -m physdev --physdev-in veth1a2b3c4d -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-SOURCES -s 10.244.1.10/32 -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-INGRESS -d 10.244.1.10/32 -m comment --comment "shop/web-0" -g NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    :NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -s 10.244.1.10/32 -j RETURN
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -g NWPLCY-REJECT-INGRESS
    :NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -d 10.244.1.10/32 -j RETURN
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -s 10.244.1.10/32 -g NWPLCY-REJECT-EGRESS
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -j DROP
    ipv6:
    NWPLCY-EGRESS -m physdev --physdev-in veth1a2b3c4d -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-SOURCES -s fd00:10:244:1::10/128 -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-INGRESS -d fd00:10:244:1::10/128 -m comment --comment "shop/web-0" -g NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    :NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -s fd00:10:244:1::10/128 -j RETURN
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -g NWPLCY-REJECT-INGRESS
    :NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -d fd00:10:244:1::10/128 -j RETURN
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -s fd00:10:244:1::10/128 -g NWPLCY-REJECT-EGRESS
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -j DROP"
  `);
});

test('a direction is judged apart from the other', () => {
  expect(text({ ...bridged, addresses: ['10.244.1.10'] }, { ...open, ingress: profiles.ingress }))
    .toMatchInlineSnapshot(`
    "ipv4:
    NWPLCY-EGRESS -m physdev --physdev-in veth1a2b3c4d -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-SOURCES -s 10.244.1.10/32 -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-INGRESS -d 10.244.1.10/32 -m comment --comment "shop/web-0" -g NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    :NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -s 10.244.1.10/32 -j RETURN
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -g NWPLCY-AAAAAAAAAAAAAAAAAAAA
    :NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -d 10.244.1.10/32 -j RETURN
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -s 10.244.1.10/32 -j RETURN
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -j DROP
    ipv6:
    NWPLCY-EGRESS -m physdev --physdev-in veth1a2b3c4d -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    :NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -j DROP"
  `);
});

test('several addresses of one family', () => {
  expect(text({ ...bridged, addresses: ['10.244.1.10', '10.244.1.11'] }, profiles)).toMatchInlineSnapshot(`
    "ipv4:
    NWPLCY-EGRESS -m physdev --physdev-in veth1a2b3c4d -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-SOURCES -s 10.244.1.10/32 -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-SOURCES -s 10.244.1.11/32 -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-INGRESS -d 10.244.1.10/32 -m comment --comment "shop/web-0" -g NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    NWPLCY-INGRESS -d 10.244.1.11/32 -m comment --comment "shop/web-0" -g NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    :NWPLCY-PI-W7WF6VPKXPOYIYGO5S
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -s 10.244.1.10/32 -j RETURN
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -s 10.244.1.11/32 -j RETURN
    NWPLCY-PI-W7WF6VPKXPOYIYGO5S -g NWPLCY-AAAAAAAAAAAAAAAAAAAA
    :NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -d 10.244.1.10/32 -j RETURN
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -d 10.244.1.11/32 -j RETURN
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -s 10.244.1.10/32 -g NWPLCY-BBBBBBBBBBBBBBBBBBBB
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -s 10.244.1.11/32 -g NWPLCY-BBBBBBBBBBBBBBBBBBBB
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -j DROP
    ipv6:
    NWPLCY-EGRESS -m physdev --physdev-in veth1a2b3c4d -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    :NWPLCY-PE-W7WF6VPKXPOYIYGO5S
    NWPLCY-PE-W7WF6VPKXPOYIYGO5S -j DROP"
  `);
});

describe('a pod whose interface nobody could tell', () => {
  test('is hooked by its addresses alone', () => {
    expect(text({ ...bridged, hostInterface: undefined, bridged: false }, profiles)).toMatchInlineSnapshot(`
      "ipv4:
      NWPLCY-SOURCES -s 10.244.1.10/32 -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
      NWPLCY-INGRESS -d 10.244.1.10/32 -m comment --comment "shop/web-0" -g NWPLCY-PI-W7WF6VPKXPOYIYGO5S
      :NWPLCY-PI-W7WF6VPKXPOYIYGO5S
      NWPLCY-PI-W7WF6VPKXPOYIYGO5S -s 10.244.1.10/32 -j RETURN
      NWPLCY-PI-W7WF6VPKXPOYIYGO5S -g NWPLCY-AAAAAAAAAAAAAAAAAAAA
      :NWPLCY-PE-W7WF6VPKXPOYIYGO5S
      NWPLCY-PE-W7WF6VPKXPOYIYGO5S -d 10.244.1.10/32 -j RETURN
      NWPLCY-PE-W7WF6VPKXPOYIYGO5S -s 10.244.1.10/32 -g NWPLCY-BBBBBBBBBBBBBBBBBBBB
      NWPLCY-PE-W7WF6VPKXPOYIYGO5S -j DROP
      ipv6:
      NWPLCY-SOURCES -s fd00:10:244:1::10/128 -m comment --comment "shop/web-0" -g NWPLCY-PE-W7WF6VPKXPOYIYGO5S
      NWPLCY-INGRESS -d fd00:10:244:1::10/128 -m comment --comment "shop/web-0" -g NWPLCY-PI-W7WF6VPKXPOYIYGO5S
      :NWPLCY-PI-W7WF6VPKXPOYIYGO5S
      NWPLCY-PI-W7WF6VPKXPOYIYGO5S -s fd00:10:244:1::10/128 -j RETURN
      NWPLCY-PI-W7WF6VPKXPOYIYGO5S -g NWPLCY-AAAAAAAAAAAAAAAAAAAA
      :NWPLCY-PE-W7WF6VPKXPOYIYGO5S
      NWPLCY-PE-W7WF6VPKXPOYIYGO5S -d fd00:10:244:1::10/128 -j RETURN
      NWPLCY-PE-W7WF6VPKXPOYIYGO5S -s fd00:10:244:1::10/128 -g NWPLCY-BBBBBBBBBBBBBBBBBBBB
      NWPLCY-PE-W7WF6VPKXPOYIYGO5S -j DROP"
    `);
  });

  test('has nothing in a family without an address', () => {
    const hooks = { ...bridged, hostInterface: undefined, bridged: false, addresses: ['10.244.1.10'] };
    expect([podChains(hooks, { family: 'ipv6', judgements: open }), podHookRules(hooks, 'ipv6')]).toEqual([[], []]);
  });
});

test('the chains are the attachment’s, the hooks’ text tells the pod', () => {
  const other: PodHooks = { ...bridged, namespace: 'lab', name: 'x' };
  const names = (hooks: PodHooks) => podChains(hooks, { family: 'ipv4', judgements: open }).map(({ name }) => name);
  expect(names(other)).toEqual(names(bridged));
  expect(names({ ...bridged, ifName: 'net1' })).not.toEqual(names(bridged));
  expect(
    podHookRules(other, 'ipv4')
      .map(({ rule }) => rule)
      .slice(-1),
  ).toEqual([`-d 10.244.1.10/32 -m comment --comment "lab/x" -g ${names(bridged)[0]}`]);
});
