import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Backend } from '../../src/dataplane/backend.ts';
import { familyOf } from '../../src/net/family.ts';
import { MOST_AT_HEAD } from '../../src/rules/iptables/hooks.ts';
import { startLab, type Lab, type LabOptions } from '../lab/lab.ts';
import type { LabPod } from '../lab/pod.ts';
import { output } from '../lab/run.ts';
import { policy, ProductCluster } from './cluster.ts';
import { PLACES } from './places.ts';

// Packets that lie about where they come from. Each is sent in a lab without the product too, where it passes.

const VICTIM = ['10.244.1.200', 'fd00:244:0:1::c8'];
const SOURCES = [
  { whose: 'a pod of the same node', addresses: VICTIM },
  { whose: 'a pod of another node', addresses: ['10.244.2.200', 'fd00:244:0:2::c8'] },
  { whose: 'nobody in the network', addresses: ['10.244.1.222', 'fd00:244:0:1::de'] },
  { whose: 'nobody in the cluster', addresses: ['203.0.113.7', '2001:db8::7'] },
];

describe.for(PLACES)("a source that is not the pod's own, $mode, $backend", ({ mode, backend }) => {
  test('passes without the product', async () => {
    using lab = await startLab({ mode, nodes: 2 });
    expect(await forgedArrivals(lab)).toEqual(everyForgery('passed'));
  });

  test('does not pass to anybody, whatever policies say, with the agent running and with it stopped', async () => {
    using cluster = await ProductCluster.start({ mode, backend, nodes: 2 });
    const { manifests } = cluster.lab;
    manifests.apply(
      policy('shop/deny', { podSelector: { matchLabels: { guarded: 'yes' } }, policyTypes: ['Ingress'] }),
    );
    const victims = { from: [{ namespaceSelector: {}, podSelector: { matchLabels: { role: 'victim' } } }] };
    const everywhere = {
      from: SOURCES.flatMap(({ addresses }) => addresses).map((address) => ({ ipBlock: blockOf(address) })),
    };
    const ingress = [victims, everywhere];
    manifests.apply(policy('shop/allow', { podSelector: { matchLabels: { guarded: 'yes' } }, ingress }));
    await cluster.lab.sync();
    expect(await forgedArrivals(cluster.lab)).toEqual(everyForgery('did not pass'));
    await crowd(cluster.lab, backend);
    expect(await forgedArrivals(cluster.lab, 'same')).toEqual(everyForgery('did not pass'));
    await Promise.all(cluster.lab.nodes.map(async ({ number }) => cluster.agent(number).stop()));
    expect(await forgedArrivals(cluster.lab, 'same')).toEqual(everyForgery('did not pass'));
  });
});

/** Adds so many pods that the hooks of all are looked for otherwise. */
async function crowd(lab: Lab, backend: Backend): Promise<void> {
  const node = lab.node(1);
  for (let index = 0; index <= MOST_AT_HEAD; index += 1)
    await node.addPod({ namespace: 'other', name: `bystander-${index}`, listens: false });
  await lab.sync();
  if (backend === 'nftables') return;
  const heads = await output(node.run, [backend, '-S', 'NWPLCY-EGRESS']);
  if (heads.includes('other/attacker')) throw new Error(`The attacker's hook is in no bucket:\n${heads}`);
}

function blockOf(address: string): { readonly cidr: string } {
  return { cidr: `${address}/${familyOf(address) === 'ipv4' ? 32 : 128}` };
}

const RECEIVERS = ['guarded', 'open', 'guarded-far', 'open-far'];

function everyForgery(outcome: 'passed' | 'did not pass'): readonly string[] {
  return SOURCES.flatMap(({ whose, addresses }) =>
    addresses.flatMap((address) =>
      RECEIVERS.flatMap((receiver) =>
        ['tcp', 'udp'].map((protocol) => `${familyOf(address)} ${protocol} of ${whose} to ${receiver}: ${outcome}`),
      ),
    ),
  );
}

/** Lets a pod forge every source to receivers on both nodes, and returns a line for each of what became of it, in the order of `everyForgery`. */
async function forgedArrivals(lab: Lab, pods: 'new' | 'same' = 'new'): Promise<readonly string[]> {
  const [attacker, ...receivers] = await forgersPods(lab, pods);
  if (attacker === undefined) throw new Error('There is no attacker');
  if (pods === 'new') await Promise.all(receivers.map(count));
  for (const { addresses } of SOURCES) await forge(attacker, { addresses, receivers });
  const lines = SOURCES.flatMap(({ whose, addresses }) =>
    addresses.map(async (address) => {
      const counted = await Promise.all(receivers.map(async (receiver) => arrived(receiver, address)));
      return counted.flatMap(({ tcp, udp }, index) =>
        Object.entries({ tcp, udp }).map(
          ([protocol, packets]) =>
            `${familyOf(address)} ${protocol} of ${whose} to ${RECEIVERS[index]}: ${packets > 0 ? 'passed' : 'did not pass'}`,
        ),
      );
    }),
  );
  return (await Promise.all(lines)).flat(2);
}

/** Adds the attacker, then the receivers. With the agent stopped they are those of before: new ones would be quarantined. */
async function forgersPods(lab: Lab, pods: 'new' | 'same'): Promise<readonly LabPod[]> {
  const present = lab.nodes.flatMap((node) => [...node.pods]);
  if (pods === 'same') return ['attacker', ...RECEIVERS].flatMap((name) => present.filter((pod) => pod.name === name));
  const [near, far] = [lab.node(1), lab.node(2)];
  await near.addPod({ namespace: 'other', name: 'victim', labels: { role: 'victim' }, addresses: VICTIM });
  const attacker = await near.addPod({ namespace: 'other', name: 'attacker' });
  const receivers = RECEIVERS.map(async (name) =>
    (name.endsWith('far') ? far : near).addPod({
      namespace: 'shop',
      name,
      labels: { guarded: name.startsWith('guarded') ? 'yes' : 'no' },
    }),
  );
  return [attacker, ...(await Promise.all(receivers))];
}

function tool(address: string): string {
  return familyOf(address) === 'ipv4' ? 'iptables-nft' : 'ip6tables-nft';
}

/** Counts in the receiver's own namespace what comes in with a forged source. */
async function count(receiver: LabPod): Promise<void> {
  for (const source of SOURCES.flatMap(({ addresses }) => addresses))
    for (const protocol of ['tcp', 'udp']) {
      const rule = ['PREROUTING', '-i', 'eth0', '-s', source, '-p', protocol, '--dport', '80'];
      await output(receiver.run, [tool(source), '-t', 'raw', '-A', ...rule]);
    }
}

async function arrived(receiver: LabPod, source: string): Promise<{ readonly tcp: number; readonly udp: number }> {
  const text = await output(receiver.run, [tool(source), '-t', 'raw', '-nvxL', 'PREROUTING']);
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  const packets = (protocol: string) => {
    const line = lines.find((words) => words.includes(source) && words.includes(protocol) && words.includes('dpt:80'));
    if (line === undefined) throw new Error(`Nothing counts ${protocol} from ${source}:\n${text}`);
    return Number(line[0]);
  };
  return { tcp: packets('tcp'), udp: packets('udp') };
}

/** Sends one TCP SYN and one datagram from each forged address to each receiver. */
async function forge(
  attacker: LabPod,
  { addresses, receivers }: { readonly addresses: readonly string[]; readonly receivers: readonly LabPod[] },
): Promise<void> {
  const targets = receivers.flatMap((receiver) => receiver.addresses);
  const routes = targets.map(async (target) => {
    const source = addresses.find((address) => familyOf(address) === familyOf(target)) ?? '';
    const via = /via \S+/.exec(await output(attacker.run, ['ip', 'route', 'get', target]))?.[0] ?? '';
    return `${blockOf(target).cidr} ${via} dev eth0 src ${source}`;
  });
  const own = addresses.map((address) => `${blockOf(address).cidr} dev eth0`);
  const way = await Promise.all(routes);
  await ip(attacker, [...own.map((each) => `address add ${each} nodad`), ...way.map((each) => `route add ${each}`)]);
  const dials = targets.flatMap((address) =>
    (['TCP', 'UDP'] as const).map((protocol) => ({ address, port: 80, protocol })),
  );
  // Nobody answers: what matters is what came in.
  await attacker.probe.dial(dials, { timeoutMs: 200 });
  await ip(attacker, [...way.map((each) => `route delete ${each}`), ...own.map((each) => `address delete ${each}`)]);
}

async function ip(pod: LabPod, lines: readonly string[]): Promise<void> {
  await output(pod.run, ['ip', '-batch', '-'], { input: lines.map((line) => `${line}\n`).join('') });
}

// CVE-2020-10749 and its kin: an interface has a link-local address whether the cluster has IPv6 or not.

const IPV4_ONLY: LabOptions = { families: ['ipv4'] };

describe('link-local IPv6 between pods of an IPv4-only cluster on a bridge', () => {
  test('passes without the product', async () => {
    using lab = await startLab(IPV4_ONLY);
    const [client, server] = await linkLocalPair(lab, 'pair');
    expect(await linkLocal(client, server)).toEqual(['open', 'open']);
  });

  test('does not pass under default deny, with the agent running and with it stopped', async () => {
    using cluster = await ProductCluster.start(IPV4_ONLY);
    const { lab } = cluster;
    lab.manifests.apply(policy('shop/deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }));
    await lab.sync();
    const [client, server] = await linkLocalPair(lab, 'before');
    expect(await linkLocal(client, server)).toEqual(['timeout', 'timeout']);
    await cluster.agent(1).stop();
    expect(await linkLocal(client, server)).toEqual(['timeout', 'timeout']);
    const [newClient, newServer] = await linkLocalPair(lab, 'after');
    const pairs = [
      [newClient, newServer],
      [client, newServer],
      [newClient, server],
    ] as const;
    const outcomes = await Promise.all(pairs.map(async ([from, to]) => linkLocal(from, to)));
    expect(outcomes.flat()).toEqual(Array(6).fill('timeout'));
  });
});

async function linkLocalPair(lab: Lab, suffix: string): Promise<readonly [LabPod, LabPod]> {
  const node = lab.node(1);
  const client = await node.addPod({ namespace: 'other', name: `client-${suffix}` });
  const server = await node.addPod({ namespace: 'shop', name: `server-${suffix}` });
  await server.probe.listen([80], { addresses: ['::'] });
  return [client, server];
}

async function linkLocal(client: LabPod, server: LabPod): Promise<readonly string[]> {
  const address = `${await linkLocalAddress(server)}%eth0`;
  const targets = (['TCP', 'UDP'] as const).map((protocol) => ({ address, port: 80, protocol }));
  return (await client.probe.dial(targets, { timeoutMs: 500 })).map(({ outcome }) => outcome);
}

async function linkLocalAddress(pod: LabPod): Promise<string> {
  const text = await output(pod.run, ['ip', '-6', '-o', 'address', 'show', 'dev', 'eth0', 'scope', 'link']);
  const address = /inet6 (fe80:[0-9a-f:]+)/.exec(text)?.[1];
  if (address === undefined) throw new Error(`Cannot find a link-local address of ${pod.key}: ${text}`);
  return address;
}

describe('router advertisements and redirects of a pod on a bridge', () => {
  test('pass without the product', async () => {
    using lab = await startLab();
    const [attacker, target] = await routerPair(lab);
    expect(await pretendToBeRouter(attacker, target)).toEqual({ advertisements: 2, redirects: 1, routes: 1 });
  });

  test('do not pass, and neighbour discovery does', async () => {
    using cluster = await ProductCluster.start();
    const [attacker, target] = await routerPair(cluster.lab);
    expect(await pretendToBeRouter(attacker, target)).toEqual({ advertisements: 0, redirects: 0, routes: 0 });
    const address = target.addresses.find((each) => familyOf(each) === 'ipv6') ?? '';
    for (const pod of [attacker, target]) await output(pod.run, ['ip', '-6', 'neighbour', 'flush', 'dev', 'eth0']);
    const [answer] = await attacker.probe.dial([{ address, port: 80, protocol: 'TCP' }]);
    expect(answer?.outcome).toBe('open');
    expect(await output(attacker.run, ['ip', '-6', 'neighbour', 'show', address])).toContain('lladdr');
  });
});

async function routerPair(lab: Lab): Promise<readonly [LabPod, LabPod]> {
  const node = lab.node(1);
  const attacker = await node.addPod({ namespace: 'other', name: 'attacker' });
  const target = await node.addPod({ namespace: 'shop', name: 'target' });
  await output(target.run, ['sh', '-c', 'echo 2 >/proc/sys/net/ipv6/conf/eth0/accept_ra']);
  for (const type of ['134', '137'])
    await output(target.run, ['ip6tables-nft', '-t', 'raw', '-A', 'PREROUTING', '-p', 'icmpv6', '--icmpv6-type', type]);
  return [attacker, target];
}

/** Sends a router advertisement to all nodes and one to the target, and a redirect to the target; returns what came in and the default routes it made. */
async function pretendToBeRouter(attacker: LabPod, target: LabPod) {
  const own = await linkLocalAddress(attacker);
  const advertisement = 'pack("CCnCCnNN", 134, 0, 0, 64, 0, 1800, 0, 0)';
  const redirect = 'pack("CCnN", 137, 0, 0, 0) . inet_pton(AF_INET6, $own) . inet_pton(AF_INET6, "2001:db8::1")';
  // Receivers drop what has not a hop limit of 255; options 16 and 18 are IPV6_UNICAST_HOPS and IPV6_MULTICAST_HOPS. The kernel adds the checksum.
  const script = `use Socket qw(:DEFAULT inet_pton);
    my ($own, $peer, $index) = @ARGV;
    socket(my $socket, AF_INET6, SOCK_RAW, 58) or die $!;
    setsockopt($socket, 41, $_, pack("i", 255)) or die $! for 16, 18;
    sub to { pack_sockaddr_in6(0, inet_pton(AF_INET6, $_[0]), $index) }
    send($socket, ${advertisement}, 0, to($_)) or die $! for "ff02::1", $peer;
    send($socket, ${redirect}, 0, to($peer)) or die $!;`;
  const index = /^\d+/.exec(await output(attacker.run, ['ip', '-o', 'link', 'show', 'dev', 'eth0']))?.[0] ?? '';
  await output(attacker.run, ['perl', '-e', script, own, await linkLocalAddress(target), index]);
  await sleep(300);
  const counters = await output(target.run, ['ip6tables-nft', '-t', 'raw', '-nvxL', 'PREROUTING']);
  const packets = (type: number) => Number(new RegExp(`^ *(\\d+) .*type ${type}`, 'm').exec(counters)?.[1]);
  const routes = await output(target.run, ['ip', '-6', 'route', 'show', 'default', 'proto', 'ra']);
  return {
    advertisements: packets(134),
    redirects: packets(137),
    routes: routes.split('\n').filter((line) => line.includes(own)).length,
  };
}
