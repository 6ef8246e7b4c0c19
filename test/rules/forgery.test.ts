import { describe, expect, test } from 'vitest';
import { IP_FAMILIES } from '../../src/net/family.ts';
import { packet } from '../helpers/packet.ts';
import { clusterOf, namespace, pod, policy } from '../helpers/manifests.ts';
import { hostInterfaceOf } from '../helpers/nodeRules.ts';
import { nodeTracer, RENDERINGS } from '../helpers/traceNode.ts';

// Every pod may reach shop/db, so that nothing but the lock on its own addresses stands in a forger's way.
const cluster = clusterOf([
  namespace('shop'),
  ...['a', 'b', 'c'].map((name, index) =>
    pod(`shop/${name}`, { addresses: [`10.0.0.${index + 1}`, `fd00::${index + 1}`] }),
  ),
  pod('shop/v4', { addresses: ['10.0.0.9'] }),
  pod('shop/db', { addresses: ['10.0.0.8', 'fd00::8'] }),
  policy('shop/all', { podSelector: {}, ingress: [{ from: [{ podSelector: {} }] }] }),
]);
const pods = [...cluster.pods.values()];
const target = { ipv4: '10.0.0.8', ipv6: 'fd00::8' } as const;
const outside = {
  ipv4: ['10.0.5.5', '192.0.2.1', '0.0.0.0', '127.0.0.1'],
  ipv6: ['fd00::5', '2001:db8::1', '::', 'fe80::1'],
} as const;
const familyOfAddress = (address: string) => (address.includes(':') ? 'ipv6' : 'ipv4');

const places = RENDERINGS.flatMap((rendering) => [true, false].map((bridged) => ({ rendering, bridged })));

describe.for(places)('by $rendering, with pods on a bridge: $bridged', ({ rendering, bridged }) => {
  const follow = nodeTracer(cluster, { rendering, nodeName: 'node-1', bridged });
  const where = (hostInterface: string) =>
    bridged ? { inInterface: 'cni0', physdevIn: hostInterface, bridged: true } : { inInterface: hostInterface };

  test.for(IP_FAMILIES)(
    '%s: a new packet by a pod’s interface passes with that pod’s own source and with no other',
    (family) => {
      const sources = [
        ...pods.flatMap(({ addresses }) => addresses).filter((address) => familyOfAddress(address) === family),
        ...outside[family],
      ];
      // What a pod sends to itself reaches nobody else.
      const senders = pods.filter(({ name }) => name !== 'db');
      const wrong = senders.flatMap((sender) =>
        sources.flatMap((source) => {
          const sent = packet({
            family,
            source,
            destination: target[family],
            ...where(hostInterfaceOf(cluster, sender)),
          });
          const { verdict } = follow(sent);
          return (verdict === 'accept') === sender.addresses.includes(source)
            ? []
            : [`${sender.name} as ${source}: ${verdict}`];
        }),
      );
      expect(wrong).toEqual([]);
    },
  );

  test('neighbour discovery passes by a pod’s interface, router advertisements and redirects do not', () => {
    const [first] = pods.map((sender) => hostInterfaceOf(cluster, sender));
    const verdicts = [133, 134, 135, 136, 137].map((icmpType) => {
      const sent = packet({
        family: 'ipv6',
        protocol: 'ipv6-icmp',
        icmpType,
        source: 'fe80::1',
        destination: 'ff02::1',
        sourcePort: undefined,
        destinationPort: undefined,
        ctstate: 'UNTRACKED',
        ...where(first ?? ''),
      });
      return follow(sent).verdict;
    });
    expect(verdicts).toEqual(['accept', 'drop', 'accept', 'accept', 'drop']);
  });
});
