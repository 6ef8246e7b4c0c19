import type { IpFamily } from '../../src/net/family.ts';
import {
  arp,
  BROADCAST,
  icmpv6,
  multicastLink,
  neighbourSolicitation,
  redirect,
  routerAdvertisement,
  solicitedNode,
  udp,
  type Packet,
} from './frames.ts';
import type { End, FrameCase, Scene } from './frameCase.ts';
import { wrappedCases } from './wrappedCases.ts';

const IPV4_BROADCAST = '255.255.255.255';
const ALL_NODES = 'ff02::1';

/** What a pod on a bridge may say to whom. Of most of this iptables sees nothing, and where only that is in use it passes. */
export const FRAME_CASES: readonly FrameCase[] = [
  ...arpCases(),
  ...(['ipv4', 'ipv6'] as const).flatMap(sourceCases),
  ...wrappedCases(),
  ...discoveryCases(),
];

function arpCases(): readonly FrameCase[] {
  const claim = (operation: 'request' | 'reply', to: 'pod' | 'node') => ({
    name: `ARP ${operation} with the address of another pod, to the ${to}`,
    make: (scene: Scene, note: string) => {
      const ends = { source: scene.victim.ipv4, destination: scene[to].ipv4 };
      const link = { from: scene.own.link, to: scene[to].link };
      return [scene[to].link, arp(operation, { link, ends, note })] as const;
    },
    bare: [to],
    locked: [],
  });
  const asked = (
    name: string,
    { source, target }: Readonly<Record<'source' | 'target', (scene: Scene) => string>>,
  ) => ({
    name,
    make: (scene: Scene, note: string) => {
      const ends = { source: source(scene), destination: target(scene) };
      return [BROADCAST, arp('request', { link: { from: scene.own.link, to: BROADCAST }, ends, note })] as const;
    },
    bare: ['pod', 'node'] as const,
  });
  const own = ({ own: { ipv4 } }: Scene) => ipv4;
  const victim = ({ victim: { ipv4 } }: Scene) => ipv4;
  const node = ({ node: { ipv4 } }: Scene) => ipv4;
  return [
    ...(['request', 'reply'] as const).flatMap((operation) => [claim(operation, 'pod'), claim(operation, 'node')]),
    {
      ...asked('ARP that announces the address of another pod to all', { source: victim, target: victim }),
      locked: [],
    },
    { ...asked("ARP that announces the node's address to all", { source: node, target: node }), locked: [] },
    { ...asked('ARP that asks with its own address', { source: own, target: victim }), locked: ['pod', 'node'] },
    // RFC 5227: whether anybody has it already.
    { ...asked('ARP probe without an address', { source: () => '0.0.0.0', target: own }), locked: ['pod', 'node'] },
  ];
}

function sourceCases(family: IpFamily): readonly FrameCase[] {
  const to = (place: 'pod' | 'far', source: 'own' | 'victim', locked: readonly End[]): FrameCase => ({
    name: `${family} from ${source === 'own' ? 'its own address' : 'that of another pod'} to ${place}`,
    make: (scene, note) => [
      place === 'pod' ? scene.pod.link : scene.node.link,
      udp({ source: scene[source][family], destination: scene[place][family] }, { note }),
    ],
    bare: place === 'pod' ? ['pod'] : ['node', 'far'],
    locked,
  });
  return [
    to('pod', 'own', ['pod']),
    to('far', 'own', ['node', 'far']),
    to('pod', 'victim', []),
    to('far', 'victim', []),
    {
      name: `${family} without a source to the pod`,
      make: ({ pod }, note) => [
        pod.link,
        udp({ source: family === 'ipv4' ? '0.0.0.0' : '::', destination: pod[family] }, { note }),
      ],
      bare: ['pod'],
      locked: [],
    },
  ];
}

function discoveryCases(): readonly FrameCase[] {
  const multicast = (destination: string, make: (scene: Scene, note: string) => Packet) => ({
    make: (scene: Scene, note: string) => [multicastLink(destination), make(scene, note)] as const,
    bare: ['pod', 'node'] as const,
  });
  return [
    {
      name: 'router advertisement to all',
      ...multicast(ALL_NODES, ({ own }, note) =>
        routerAdvertisement({ source: own.local, destination: ALL_NODES }, { note }),
      ),
      locked: [],
    },
    {
      name: 'router advertisement behind options to all',
      ...multicast(ALL_NODES, ({ own }, note) =>
        routerAdvertisement({ source: own.local, destination: ALL_NODES }, { note, behindOptions: true }),
      ),
      locked: [],
    },
    ...(['pod', 'node'] as const).flatMap((to): readonly FrameCase[] => [
      {
        name: `router advertisement to the ${to}`,
        make: (scene, note) => [
          scene[to].link,
          routerAdvertisement({ source: scene.own.local, destination: scene[to].local }, { note }),
        ],
        bare: [to],
        locked: [],
      },
      {
        name: `redirect to the ${to}`,
        make: (scene, note) => [
          scene[to].link,
          redirect({ source: scene.own.local, destination: scene[to].local }, note),
        ],
        bare: [to],
        locked: [],
      },
    ]),
    {
      name: 'duplicate address detection',
      make: ({ own }, note) => {
        const destination = solicitedNode(own.ipv6);
        return [
          multicastLink(destination),
          neighbourSolicitation({ source: '::', destination }, { target: own.ipv6, note }),
        ];
      },
      bare: ['pod', 'node'],
      locked: ['pod', 'node'],
    },
    {
      name: 'neighbour solicitation',
      make: ({ own, pod }, note) => [
        pod.link,
        neighbourSolicitation({ source: own.local, destination: pod.ipv6 }, { target: pod.ipv6, note }),
      ],
      bare: ['pod'],
      locked: ['pod'],
    },
    {
      name: 'an echo request from a link-local address to all',
      ...multicast(ALL_NODES, ({ own }, note) =>
        icmpv6({ source: own.local, destination: ALL_NODES }, { type: 128, bytes: Buffer.from(`\0\0\0\0${note}`) }),
      ),
      locked: ['node'],
    },
    {
      name: 'DHCP',
      make: (_, note) => [
        BROADCAST,
        udp({ source: '0.0.0.0', destination: IPV4_BROADCAST }, { from: 68, to: 67, note }),
      ],
      bare: ['pod', 'node'],
      locked: ['node'],
    },
  ];
}
