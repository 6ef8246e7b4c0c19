import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { familyOf, IP_FAMILIES } from '../../src/net/family.ts';
import type { PodNetworkMode } from '../lab/conflist.ts';
import { startLab, type Lab } from '../lab/lab.ts';
import type { LabPod } from '../lab/pod.ts';
import { isNftables } from './backend.ts';
import { policy, ProductCluster } from './cluster.ts';
import { ENDS, type Scene } from './frameCase.ts';
import { FRAME_CASES } from './frameCases.ts';
import { frame, udp } from './frames.ts';
import { call, hostOf, nextLink, tapOf } from './linkHost.ts';
import { noteOf, sendFrames, Tap } from './tap.ts';

// nftables locks the sources of a pod before anything else sees its packets. Rules of iptables come too late for what is not routed as IP, and for
// what belongs to a flow that was judged.

describe.skipIf(!isNftables)('frames that a pod on a bridge makes by hand', () => {
  test('come in without the product', async () => {
    using lab = await startLab({ nodes: 2 });
    expect(await frameArrivals(lab)).toEqual(FRAME_CASES.map(({ name, bare }) => `${name}: ${bare.join(', ')}`));
  });

  test('come in where its own address may send them, and nowhere else', async () => {
    using cluster = await ProductCluster.start({ nodes: 2 });
    const arrivals = await frameArrivals(cluster.lab);
    expect(arrivals).toEqual(FRAME_CASES.map(({ name, locked }) => `${name}: ${locked.join(', ')}`));
  });
});

/** Lets a pod send the frames of all cases, and returns a line for each with the places where it came in. */
async function frameArrivals(lab: Lab): Promise<readonly string[]> {
  const [near, other] = [lab.node(1), lab.node(2)];
  const [own, pod, victim, far] = await Promise.all([
    near.addPod({ namespace: 'other', name: 'attacker' }),
    near.addPod({ namespace: 'shop', name: 'pod' }),
    near.addPod({ namespace: 'shop', name: 'victim' }),
    other.addPod({ namespace: 'shop', name: 'far' }),
  ]);
  const [ipv4 = '', ipv6 = ''] = far.addresses;
  const scene: Scene = {
    own: await hostOf(own, 'eth0'),
    pod: await hostOf(pod, 'eth0'),
    victim: await hostOf(victim, 'eth0'),
    node: await hostOf(near, 'cni0'),
    far: { ipv4, ipv6 },
  };
  // So that no frame waits for nodes to find each other.
  await call(own, far);
  const taps = {
    pod: await tapOf(lab, pod),
    node: await Tap.start(near.run, { device: 'cni0', file: join(lab.directory, 'node.tap') }),
    far: await tapOf(lab, far),
  };
  const frames = FRAME_CASES.map(({ name, make }) => {
    const [to, packet] = make(scene, noteOf(name));
    return frame({ from: scene.own.link, to }, packet);
  });
  await sendFrames(own.run, [...frames, ...lastFrames(scene)]);
  for (const end of ENDS) await taps[end].waitFor('last');
  return FRAME_CASES.map(({ name }) => `${name}: ${ENDS.filter((end) => taps[end].names.has(name)).join(', ')}`);
}

/** What comes in after everything else. */
function lastFrames({ own, pod, node, far }: Scene): readonly Buffer[] {
  const ends = [
    { to: pod.link, destination: pod.ipv4 },
    { to: node.link, destination: far.ipv4 },
  ];
  return ends.map(({ to, destination }) =>
    frame({ from: own.link, to }, udp({ source: own.ipv4, destination }, { note: noteOf('last') })),
  );
}

describe.skipIf(!isNftables).for<PodNetworkMode>(['bridge', 'ptp'])(
  'a flow of another pod that was judged, %s',
  (mode) => {
    test('takes a forged packet along without the product', async () => {
      using lab = await startLab({ mode, nodes: 2 });
      expect(await riderArrivals(lab)).toEqual(riders(['begun', 'forged', 'still']));
    });

    test('takes none along', async () => {
      using cluster = await ProductCluster.start({ mode, nodes: 2 });
      const from = [{ namespaceSelector: {}, podSelector: { matchLabels: { role: 'victim' } } }];
      cluster.lab.manifests.apply(policy('shop/ingress', { podSelector: {}, ingress: [{ from }] }));
      await cluster.lab.sync();
      expect(await riderArrivals(cluster.lab)).toEqual(riders(['begun', 'still']));
    });
  },
);

function riders(seen: readonly string[]): Readonly<Record<string, readonly string[]>> {
  return { 'near ipv4': seen, 'near ipv6': seen, 'far ipv4': seen, 'far ipv6': seen };
}

/** Lets a pod begin flows, another one send what claims to belong to them, and the first go on; returns what came in of each. */
async function riderArrivals(lab: Lab) {
  const victim = await lab.node(1).addPod({ namespace: 'other', name: 'victim', labels: { role: 'victim' } });
  const attacker = await lab.node(1).addPod({ namespace: 'other', name: 'attacker' });
  const near = await lab.node(1).addPod({ namespace: 'shop', name: 'near' });
  const far = await lab.node(2).addPod({ namespace: 'shop', name: 'far' });
  const flows = await Promise.all([near, far].map(async (to) => ({ to, tap: await tapOf(lab, to) })));
  for (const step of ['begun', 'forged', 'still']) {
    const sender = step === 'forged' ? attacker : victim;
    for (const { to } of flows) await call(sender, to);
    await sendFrames(
      sender.run,
      (await Promise.all(flows.map(async ({ to }) => packets(step, { victim, sender, to })))).flat(),
    );
    if (sender === victim) await Promise.all(flows.map(async ({ tap }) => waitForFamilies(tap, step)));
  }
  const seen = flows.flatMap(({ to, tap }) =>
    to.addresses.map((address) => {
      const names = [...tap.names].filter((name) => name.endsWith(` ${familyOf(address)}`));
      return [`${to.name} ${familyOf(address)}`, names.map((name) => name.split(' ')[0] ?? '')] as const;
    }),
  );
  return Object.fromEntries(seen);
}

async function waitForFamilies(tap: Tap, step: string): Promise<void> {
  for (const family of IP_FAMILIES) await tap.waitFor(`${step} ${family}`);
}

/** Returns one packet of the victim's flow in each family, as the sender sends it. */
async function packets(
  step: string,
  { victim, sender, to }: Readonly<Record<'victim' | 'sender' | 'to', LabPod>>,
): Promise<readonly Buffer[]> {
  const { link: from } = await hostOf(sender, 'eth0');
  return Promise.all(
    to.addresses.map(async (destination) => {
      const family = familyOf(destination);
      const source = victim.addresses.find((address) => familyOf(address) === family) ?? '';
      const note = noteOf(`${step} ${family}`);
      return frame({ from, to: await nextLink(sender, destination) }, udp({ source, destination }, { note }));
    }),
  );
}
