import { describe, expect, test } from 'vitest';
import { startLab, type Lab } from '../lab/lab.ts';
import { isNftables } from './backend.ts';
import { policy, ProductCluster } from './cluster.ts';
import { arp, BROADCAST, frame, multicastLink, udp } from './frames.ts';
import { hostOf, tapOf, type LinkHost } from './linkHost.ts';
import { noteOf, sendFrames } from './tap.ts';

// What a bridge hands to a pod though the packet's address is not the pod's. Rules of iptables find pods by that address alone, and let it pass.

interface Flood {
  readonly name: string;
  readonly destination: string;
  /** The link address that it is sent to: everybody's, or that of the pod that is meant. */
  readonly link: 'all' | 'one';
}

const FLOODS: readonly Flood[] = [
  { name: 'broadcast', destination: '255.255.255.255', link: 'all' },
  { name: 'broadcast of the network', destination: '10.244.1.255', link: 'all' },
  { name: 'multicast', destination: '224.0.0.251', link: 'all' },
  { name: 'IPv6 multicast', destination: 'ff02::fb', link: 'all' },
  { name: 'broadcast to one', destination: '255.255.255.255', link: 'one' },
  { name: 'multicast to one', destination: '224.0.0.251', link: 'one' },
  { name: 'IPv6 multicast to one', destination: 'ff02::fb', link: 'one' },
];
const ALL = FLOODS.map(({ name }) => name);
const TO_ALL = FLOODS.filter(({ link }) => link === 'all').map(({ name }) => name);

describe.skipIf(!isNftables)('what comes to a pod over its bridge without its address', () => {
  test('comes in without the product', async () => {
    using lab = await startLab();
    expect(await floodArrivals(lab)).toEqual({ open: ALL, closed: ALL });
  });

  test('comes in by what is for all, where no policy isolates the pod', async () => {
    using cluster = await ProductCluster.start();
    const podSelector = { matchLabels: { role: 'closed' } };
    cluster.lab.manifests.apply(policy('shop/closed', { podSelector, policyTypes: ['Ingress'] }));
    await cluster.lab.sync();
    expect(await floodArrivals(cluster.lab)).toEqual({ open: TO_ALL, closed: [] });
  });

  test.for([
    { name: 'without the product', hasProduct: false, seen: ['theirs'] },
    { name: 'with it', hasProduct: true, seen: [] },
  ])('of another pod whose link address it took on: $name', async ({ hasProduct, seen }) => {
    using lab = hasProduct ? (await ProductCluster.start()).lab : await startLab();
    expect(await takenOver(lab)).toEqual(seen);
  });
});

/** Lets a pod send each flood to two others, one of which is isolated where policies are, and returns what came in at each. */
async function floodArrivals(lab: Lab): Promise<Readonly<Record<'open' | 'closed', readonly string[]>>> {
  const node = lab.node(1);
  const sender = await node.addPod({ namespace: 'other', name: 'sender' });
  const pods = [
    await node.addPod({ namespace: 'shop', name: 'open' }),
    await node.addPod({ namespace: 'shop', name: 'closed', labels: { role: 'closed' } }),
  ];
  const own = await hostOf(sender, 'eth0');
  const hosts = await Promise.all(pods.map(async (pod) => hostOf(pod, 'eth0')));
  const taps = await Promise.all(pods.map(async (pod) => tapOf(lab, pod)));
  const frames = FLOODS.flatMap(({ name, destination, link }) => {
    const isIpv6 = destination.includes(':');
    const packet = udp({ source: isIpv6 ? own.ipv6 : own.ipv4, destination }, { note: noteOf(name) });
    const links = link === 'one' ? hosts.map((host) => host.link) : [isIpv6 ? multicastLink(destination) : BROADCAST];
    return links.map((to) => frame({ from: own.link, to }, packet));
  });
  await sendFrames(sender.run, [...frames, ...hosts.map((host) => question(own, host))]);
  for (const tap of taps) await tap.waitFor('last');
  const [open = [], closed = []] = taps.map((tap) => ALL.filter((name) => tap.names.has(name)));
  return { open, closed };
}

/** ARP passes everywhere. */
function question(own: LinkHost, host: LinkHost): Buffer {
  const link = { from: own.link, to: host.link };
  const ends = { source: own.ipv4, destination: host.ipv4 };
  return frame(link, arp('request', { link, ends, note: noteOf('last') }));
}

/** Lets a pod send with the link address of another, and returns what it then gets of what a third sends to that one. */
async function takenOver(lab: Lab): Promise<readonly string[]> {
  const node = lab.node(1);
  const [attacker, victim, sender] = [
    await node.addPod({ namespace: 'other', name: 'attacker' }),
    await node.addPod({ namespace: 'shop', name: 'victim' }),
    await node.addPod({ namespace: 'shop', name: 'sender' }),
  ];
  const [own, theirs, from] = await Promise.all([attacker, victim, sender].map(async (pod) => hostOf(pod, 'eth0')));
  if (own === undefined || theirs === undefined || from === undefined) throw new Error('There are three pods');
  const tap = await tapOf(lab, attacker);
  const claim = frame(
    { from: theirs.link, to: from.link },
    udp({ source: own.ipv4, destination: from.ipv4 }, { note: noteOf('claim') }),
  );
  const packet = udp({ source: from.ipv4, destination: theirs.ipv4 }, { note: noteOf('theirs') });
  // The victim takes its link address back with whatever it says of itself in between.
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    await sendFrames(attacker.run, [claim]);
    await sendFrames(sender.run, [frame({ from: from.link, to: theirs.link }, packet)]);
  }
  await sendFrames(sender.run, [question(from, own)]);
  await tap.waitFor('last');
  return ['theirs'].filter((name) => tap.names.has(name));
}
