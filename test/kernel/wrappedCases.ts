import type { FrameCase } from './frameCase.ts';
import { arp, inPppoe, routerAdvertisement, tagged, udp, type Packet } from './frames.ts';

/** What br_netfilter shows to no rule of ours, unless it is set to. A VLAN of the number 0 is none: who gets it takes it for untagged. */
export function wrappedCases(): readonly FrameCase[] {
  const wraps: Readonly<Record<string, { readonly wrap: (packet: Packet) => Packet; readonly isPriority?: boolean }>> =
    {
      'VLAN 5': { wrap: (packet) => tagged({ type: '802.1Q', id: 5 }, packet) },
      'a service VLAN 5': { wrap: (packet) => tagged({ type: '802.1ad', id: 5 }, packet) },
      'VLAN 0': { wrap: (packet) => tagged({ type: '802.1Q', id: 0 }, packet), isPriority: true },
      'a service VLAN 0': { wrap: (packet) => tagged({ type: '802.1ad', id: 0 }, packet), isPriority: true },
      'VLAN 0 in VLAN 0': {
        wrap: (packet) => tagged({ type: '802.1Q', id: 0 }, tagged({ type: '802.1Q', id: 0 }, packet)),
        isPriority: true,
      },
    };
  const inVlans = Object.entries(wraps).flatMap(([name, { wrap, isPriority = false }]) =>
    (['ipv4', 'ipv6'] as const).flatMap((family): readonly FrameCase[] => [
      {
        name: `${family} in ${name} to the pod`,
        make: ({ own, pod }, note) => [
          pod.link,
          wrap(udp({ source: own[family], destination: pod[family] }, { note })),
        ],
        bare: ['pod'],
        locked: [],
      },
      {
        name: `${family} from the address of another pod in ${name} to far`,
        make: ({ victim, node, far }, note) => [
          node.link,
          wrap(udp({ source: victim[family], destination: far[family] }, { note })),
        ],
        bare: isPriority ? ['node', 'far'] : ['node'],
        locked: [],
      },
    ]),
  );
  const inVlan0 = (to: 'pod' | 'node'): readonly FrameCase[] => [
    {
      name: `ARP reply with the address of another pod in VLAN 0 to the ${to}`,
      make: (scene, note) => {
        const ends = { source: scene.victim.ipv4, destination: scene[to].ipv4 };
        const link = { from: scene.own.link, to: scene[to].link };
        return [link.to, tagged({ type: '802.1Q', id: 0 }, arp('reply', { link, ends, note }))];
      },
      bare: [to],
      locked: [],
    },
    {
      name: `router advertisement in VLAN 0 to the ${to}`,
      make: (scene, note) => {
        const ends = { source: scene.own.local, destination: scene[to].local };
        return [scene[to].link, tagged({ type: '802.1Q', id: 0 }, routerAdvertisement(ends, { note }))];
      },
      bare: [to],
      locked: [],
    },
  ];
  const inSession: FrameCase = {
    name: 'IPv4 in PPPoE to the pod',
    make: ({ own, pod }, note) => [pod.link, inPppoe(udp({ source: own.ipv4, destination: pod.ipv4 }, { note }))],
    bare: ['pod'],
    locked: [],
  };
  return [...inVlans, ...inVlan0('pod'), ...inVlan0('node'), inSession];
}
