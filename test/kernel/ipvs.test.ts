import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Backend } from '../../src/dataplane/backend.ts';
import { familyOf } from '../../src/net/family.ts';
import { evaluate } from '../../src/policy/evaluate.ts';
import type { PodNetworkMode } from '../lab/conflist.ts';
import type { LabHost } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { isOpen, matrix, type Party } from '../lab/matrix.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { output } from '../lab/run.ts';
import { orNftables } from './backend.ts';
import { policy, ProductCluster } from './cluster.ts';
import { clusterIn } from './clusterIn.ts';

// IPVS takes a packet to a Service in at INPUT and sends it to the pod behind by OUTPUT, with the client's address as its source; FORWARD never sees
// it. A kernel without IP_VS sends such packets too, from a socket of the node that is bound to somebody else's address (IP_TRANSPARENT).

const PLACES: readonly { readonly mode: PodNetworkMode; readonly backend: Backend }[] = [
  { mode: 'flannel', backend: orNftables('iptables-nft') },
  { mode: 'ptp', backend: orNftables('iptables-legacy') },
];

const PROTOCOLS = ['TCP', 'UDP'] as const;
const OUTSIDE = ['203.0.113.7', '2001:db8:113::7'];
const STRANGE = ['198.51.100.7', '2001:db8:51::7'];

describe.for(PLACES)('what leaves by OUTPUT, $mode, $backend', ({ mode, backend }) => {
  let cluster: ProductCluster;
  let lab: Lab;
  let first: LabNode;
  let hosts: readonly LabHost[];

  beforeAll(async () => {
    cluster = await ProductCluster.start({ mode, backend, nodes: 2 });
    ({ lab } = cluster);
    first = lab.node(1);
    hosts = [await lab.addHost('outside', OUTSIDE), await lab.addHost('stranger', STRANGE)];
    lab.applyNamespace('shop');
    lab.applyNamespace('clients');
    await Promise.all(lab.nodes.map(addPods));
    const clients = { namespaceSelector: {}, podSelector: { matchLabels: { role: 'client' } } };
    const blocks = OUTSIDE.map((address) => ({
      ipBlock: { cidr: `${address}/${familyOf(address) === 'ipv4' ? 32 : 128}` },
    }));
    lab.manifests.apply(policy('shop/ingress', { podSelector: {}, ingress: [{ from: [clients, ...blocks] }] }));
    const captives = { podSelector: { matchLabels: { captive: 'yes' } }, policyTypes: ['Egress'] };
    lab.manifests.apply(
      policy('clients/egress', { ...captives, egress: [{ ports: [{ port: 80, protocol: 'TCP' }] }] }),
    );
    await lab.sync();
  });
  afterAll(() => cluster[Symbol.dispose]());

  test("with a source that is not the node's is judged at both ends, as if it were forwarded", async () => {
    const receivers = lab.nodes.flatMap(({ pods }) => [...pods]);
    await Promise.all(receivers.map(watch));
    const flows = [...first.pods, ...hosts].flatMap((from) => flowsTo(receivers, from));
    await sendTransparently(first, flows);
    const arrivals = await Promise.all(receivers.map(async (pod) => [pod, await arrived(pod)] as const));
    const objects = clusterIn(lab);
    const lines = flows.map(({ from, to, protocol, source, destination }) => {
      const flow = { from: from.endpoint(source), to: to.endpoint(destination), protocol, port: 80 };
      const passed = arrivals.find(([pod]) => pod === to)?.[1].has(`${protocol.toLowerCase()} . ${source}`) === true;
      const line = `${from.key} -> ${to.key} ${destination} ${protocol}`;
      return { line, passed, allowed: evaluate(objects, flow).allowed };
    });
    expect(lines.filter(({ passed, allowed }) => passed !== allowed)).toEqual([]);
    // Each end refuses something of either protocol, on this node and on the other.
    const refused = lines.filter(({ allowed }) => !allowed).map(({ line }) => line);
    for (const name of [
      'clients/stranger-1 -> shop/web-1',
      'clients/stranger-1 -> shop/web-2',
      'stranger -> shop/web-1',
    ])
      expect(refused.filter((line) => line.startsWith(`${name} `)).length).toBe(4);
    for (const name of ['clients/captive-1 -> clients/client-1', 'clients/captive-1 -> clients/client-2'])
      expect(refused.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(-3))).toEqual([
        'UDP',
        'UDP',
      ]);
  });

  test("with a source of the node's own is never judged: the node reaches its pods, whatever policies say", async () => {
    const cells = await matrix({ from: [first], to: [...first.pods] }, { ports: [80] });
    expect(cells.filter((cell) => !isOpen(cell))).toEqual([]);
    expect(cells.length).toBe(first.pods.size * 4);
  });
});

async function addPods(node: LabNode): Promise<void> {
  const specs = [
    { namespace: 'shop', name: 'web', labels: {} },
    { namespace: 'clients', name: 'client', labels: { role: 'client' } },
    { namespace: 'clients', name: 'captive', labels: { role: 'client', captive: 'yes' } },
    { namespace: 'clients', name: 'stranger', labels: {} },
  ];
  await Promise.all(specs.map(async (spec) => node.addPod({ ...spec, name: `${spec.name}-${node.number}` })));
}

interface OutputFlow {
  readonly from: Party;
  readonly to: LabPod;
  readonly protocol: (typeof PROTOCOLS)[number];
  readonly source: string;
  readonly destination: string;
}

function flowsTo(receivers: readonly LabPod[], from: Party): readonly OutputFlow[] {
  return receivers
    .filter((to) => to !== from)
    .flatMap((to) =>
      to.addresses.flatMap((destination) => {
        const source = from.addresses.find((address) => familyOf(address) === familyOf(destination)) ?? '';
        return PROTOCOLS.map((protocol) => ({ from, to, protocol, source, destination }));
      }),
    );
}

/** Notes who sends to port 80 of a pod, in its own namespace. */
async function watch(pod: LabPod): Promise<void> {
  const set = (family: string) => `set from-${family} { type inet_proto . ${family}_addr; flags dynamic; size 1024; }`;
  const rule = (family: string, words: string) =>
    `iif eth0 th dport 80 add @from-${family} { meta l4proto . ${words} saddr }`;
  const chain = `chain prerouting { type filter hook prerouting priority raw; ${rule('ipv4', 'ip')}; ${rule('ipv6', 'ip6')}; }`;
  await output(pod.run, ['nft', '-f', '-'], {
    input: `table inet seen { ${set('ipv4')}\n ${set('ipv6')}\n ${chain}\n }\n`,
  });
}

/** Returns e.g. `tcp . 10.244.1.3` of all who have sent. */
async function arrived(pod: LabPod): Promise<ReadonlySet<string>> {
  const text = await output(pod.run, ['nft', 'list', 'table', 'inet', 'seen']);
  return new Set([...text.matchAll(/(?:tcp|udp) \. [0-9a-f.:]+/g)].map(([element]) => element));
}

/** Sends the first packet of each flow from the node. Replies find nobody: they go to the real holder of the source. */
async function sendTransparently(node: LabNode, flows: readonly OutputFlow[]): Promise<void> {
  // ip(7), ipv6(7): IP_TRANSPARENT is option 19 of level 0, IPV6_TRANSPARENT option 75 of level 41.
  const script = `use Socket qw(:DEFAULT inet_pton); use Fcntl;
    while (<STDIN>) {
      my ($protocol, $source, $destination) = split;
      my $isV6 = $source =~ /:/;
      my $address = sub { $isV6 ? pack_sockaddr_in6($_[1], inet_pton(AF_INET6, $_[0])) : pack_sockaddr_in($_[1], inet_aton($_[0])) };
      socket(my $socket, $isV6 ? AF_INET6 : AF_INET, $protocol eq 'TCP' ? SOCK_STREAM : SOCK_DGRAM, 0) or die "socket: $!";
      setsockopt($socket, $isV6 ? 41 : 0, $isV6 ? 75 : 19, pack('i', 1)) or die "IP_TRANSPARENT: $!";
      bind($socket, $address->($source, 0)) or die "bind: $!";
      fcntl($socket, F_SETFL, O_NONBLOCK) or die "fcntl: $!";
      # What is refused at OUTPUT may say so here.
      connect($socket, $address->($destination, 80));
      send($socket, 'x', 0) if $protocol eq 'UDP';
      push @sockets, $socket;
    }
    select(undef, undef, undef, 0.3);`;
  const lines = flows.map(({ protocol, source, destination }) => `${protocol} ${source} ${destination}\n`);
  await output(node.run, ['perl', '-e', script], { input: lines.join('') });
}
