import { describe, expect, test } from 'vitest';
import { familyOf } from '../../src/net/family.ts';
import { startLab, type Lab } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { output } from '../lab/run.ts';
import { isNftables } from './backend.ts';
import { ProductCluster } from './cluster.ts';
import {
  BROADCAST,
  frame,
  multicastLink,
  neighbourSolicitation,
  redirect,
  routerAdvertisement,
  solicitedNode,
  tagged,
  udp,
  type Packet,
} from './frames.ts';
import { call, hostOf, tapOf, type LinkHost } from './linkHost.ts';
import { noteOf, sendFrames, type Tap } from './tap.ts';

// What a pod on a link of its own may say to its node, and by it to others. Rules of iptables are asked about what is routed, not about the rest.

interface Scene {
  readonly own: LinkHost;
  readonly node: LinkHost;
  readonly victim: readonly string[];
  readonly far: readonly string[];
}

interface Case {
  readonly name: string;
  readonly make: (scene: Scene, note: string) => readonly [to: string, packet: Packet];
  /** How the node's own rule tells it; none where it is for another node's pod. */
  readonly match?: string;
  /** Whether it comes in with the product; without it all does. */
  readonly passes: boolean;
}

const ALL_NODES = 'ff02::1';

const CASES: readonly Case[] = [
  {
    name: 'router advertisement',
    make: ({ own }, note) => [
      multicastLink(ALL_NODES),
      routerAdvertisement({ source: own.local, destination: ALL_NODES }, { note }),
    ],
    match: 'icmpv6 type nd-router-advert',
    passes: false,
  },
  {
    name: 'redirect',
    make: ({ own, node }, note) => [node.link, redirect({ source: own.local, destination: node.local }, note)],
    match: 'icmpv6 type nd-redirect',
    passes: false,
  },
  {
    name: 'duplicate address detection',
    make: ({ node: { local } }, note) => {
      const destination = solicitedNode(local);
      return [
        multicastLink(destination),
        neighbourSolicitation({ source: '::', destination }, { target: local, note }),
      ];
    },
    match: 'icmpv6 type nd-neighbor-solicit ip6 saddr ::',
    passes: true,
  },
  {
    name: 'DHCP',
    make: (_, note) => [
      BROADCAST,
      udp({ source: '0.0.0.0', destination: '255.255.255.255' }, { from: 68, to: 67, note }),
    ],
    match: 'udp dport 67',
    passes: true,
  },
  ...[0, 1].flatMap(sourceCases),
];

/** Of the addresses of one family. */
function sourceCases(family: number): readonly Case[] {
  const name = family === 0 ? 'ipv4' : 'ipv6';
  const inVlan0 = (packet: Packet) => tagged({ type: '802.1Q', id: 0 }, packet);
  const wraps: Readonly<Record<string, (packet: Packet) => Packet>> = {
    '': (packet) => packet,
    ' in VLAN 0': inVlan0,
    ' in VLAN 0 in VLAN 0': (packet) => inVlan0(inVlan0(packet)),
  };
  return Object.entries(wraps).flatMap(([suffix, wrap], index): readonly Case[] => [
    {
      name: `${name} from the address of another pod to the node${suffix}`,
      make: ({ victim, node }, note) => {
        const ends = { source: victim[family] ?? '', destination: family === 0 ? node.ipv4 : node.ipv6 };
        return [node.link, wrap(udp(ends, { to: 1000 + index, note }))];
      },
      match: `meta nfproto ${name} udp dport ${1000 + index}`,
      passes: false,
    },
    {
      name: `${name} from the address of another pod to far${suffix}`,
      make: ({ victim, far, node }, note) => {
        const ends = { source: victim[family] ?? '', destination: far[family] ?? '' };
        return [node.link, wrap(udp(ends, { note }))];
      },
      passes: false,
    },
    {
      name: `${name} from its own address to far${suffix}`,
      make: ({ own, far, node }, note) => {
        const ends = { source: family === 0 ? own.ipv4 : own.ipv6, destination: far[family] ?? '' };
        return [node.link, wrap(udp(ends, { note }))];
      },
      passes: true,
    },
  ]);
}

describe.skipIf(!isNftables)('frames that a pod on a link of its own makes by hand', () => {
  test('come in without the product', async () => {
    using lab = await startLab({ mode: 'ptp', nodes: 2 });
    expect(await missingArrivals(lab)).toEqual([]);
  });

  test('come in where its own address may send them, and nowhere else', async () => {
    using cluster = await ProductCluster.start({ mode: 'ptp', nodes: 2 });
    const blocked = CASES.filter(({ passes }) => !passes).map(({ name }) => name);
    expect(await missingArrivals(cluster.lab)).toEqual(blocked);
  });
});

/** Lets a pod send the frames of all cases, and returns the names of those that did not come in. */
async function missingArrivals(lab: Lab): Promise<readonly string[]> {
  const near = lab.node(1);
  const own = await near.addPod({ namespace: 'other', name: 'attacker' });
  const victim = await near.addPod({ namespace: 'shop', name: 'victim' });
  const far = await lab.node(2).addPod({ namespace: 'shop', name: 'far' });
  await call(own, far);
  const scene: Scene = {
    own: await hostOf(own, 'eth0'),
    node: await hostOf(near, await deviceTo(near, own)),
    victim: victim.addresses,
    far: far.addresses,
  };
  const tap = await tapOf(lab, far);
  await countAtNode(near);
  const frames = CASES.map(({ name, make }) => {
    const [to, packet] = make(scene, noteOf(name));
    return frame({ from: scene.own.link, to }, packet);
  });
  const last = far.addresses.map((destination) => {
    const source = familyOf(destination) === 'ipv4' ? scene.own.ipv4 : scene.own.ipv6;
    return frame(
      { from: scene.own.link, to: scene.node.link },
      udp({ source, destination }, { note: noteOf(`last ${familyOf(destination)}`) }),
    );
  });
  await sendFrames(own.run, [...frames, ...last]);
  for (const address of far.addresses) await tap.waitFor(`last ${familyOf(address)}`);
  const seen = await seenAtNode(near);
  return CASES.filter((each) => !hasArrived(each, { tap, seen })).map(({ name }) => name);
}

function hasArrived(
  { name, match }: Case,
  { tap, seen }: { readonly tap: Tap; readonly seen: ReadonlySet<string> },
): boolean {
  return match === undefined ? tap.names.has(name) : seen.has(name);
}

async function deviceTo({ run }: LabNode, { addresses: [address = ''] }: LabPod): Promise<string> {
  return / dev (\S+)/.exec(await output(run, ['ip', 'route', 'get', address]))?.[1] ?? '';
}

/** Counts what the node itself takes in. */
async function countAtNode({ run }: LabNode): Promise<void> {
  const rules = CASES.flatMap(({ name, match }) => (match === undefined ? [] : [`${match} counter comment "${name}"`]));
  const chain = `chain input { type filter hook input priority 300; ${rules.map((rule) => `${rule};`).join(' ')} }`;
  await output(run, ['nft', '-f', '-'], { input: `table inet counting {\n${chain}\n}\n` });
}

async function seenAtNode({ run }: LabNode): Promise<ReadonlySet<string>> {
  const text = await output(run, ['nft', 'list', 'table', 'inet', 'counting']);
  const counted = [...text.matchAll(/counter packets (\d+) .*comment "([^"]*)"/g)];
  return new Set(counted.flatMap(([, packets, name = '']) => (packets === '0' ? [] : [name])));
}
