import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Backend } from '../../src/dataplane/backend.ts';
import { familyOf } from '../../src/net/family.ts';
import type { Endpoint } from '../../src/policy/flow.ts';
import { readAttachment } from '../../src/rendezvous/attachment.ts';
import { nodeAddress } from '../lab/addressing.ts';
import { joinByVxlan, vtepAddress, writeClusterRules } from '../lab/flannel.ts';
import type { LabHost } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { disagreements, isOpen, matrix, type Cell, type Party } from '../lab/matrix.ts';
import type { Manifest } from '../lab/manifests.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { monotonicMs } from '../lab/probe.ts';
import { output } from '../lab/run.ts';
import { isNftables } from './backend.ts';
import { programsOf } from './breaking.ts';
import { policy, ProductCluster } from './cluster.ts';
import { clusterIn } from './clusterIn.ts';
import { writeNftClusterRules } from './nftClusterRules.ts';

// A cluster with flannel: its conflist with portmap, its masquerade and forward rules, those of kube-proxy, and, where they write by iptables, a
// FORWARD chain that drops what nobody accepts. The rules are recorded (test/lab/recorded, of kube-proxy in its nftables mode ./recorded). The
// vxlan devices are made by iproute2 as flanneld makes them (test/lab/flannel.ts); the routes of host-gw are those that every lab has. flannel's
// plugin is left out: bridge gets what it would hand on.

type Network = 'vxlan' | 'host-gw';

interface Case {
  readonly network: Network;
  readonly cniVersion: string;
  /** What flannel and kube-proxy write into. */
  readonly theirs: Backend;
  readonly backend: Backend;
}

const CASES: readonly Case[] = isNftables
  ? [
      { network: 'vxlan', cniVersion: '0.3.1', theirs: 'nftables', backend: 'nftables' },
      { network: 'host-gw', cniVersion: '1.0.0', theirs: 'iptables-nft', backend: 'nftables' },
      { network: 'host-gw', cniVersion: '1.0.0', theirs: 'iptables-legacy', backend: 'nftables' },
    ]
  : [
      { network: 'vxlan', cniVersion: '0.3.1', theirs: 'iptables-nft', backend: 'iptables-nft' },
      { network: 'host-gw', cniVersion: '1.0.0', theirs: 'iptables-legacy', backend: 'iptables-legacy' },
    ];

const FAMILIES = ['ipv4', 'ipv6'] as const;
const PROTOCOLS = ['TCP', 'UDP'] as const;
const OUTSIDE = ['203.0.113.7', '2001:db8:113::7'];
const STRANGE = ['198.51.100.7', '2001:db8:51::7'];
const PORTS = [{ port: 80 }, { port: 80, protocol: 'UDP' }];

/** The Services of the recorded rules: ClusterIP, NodePort, and the nodes that have an endpoint. */
const NEAR = { clusterIps: { ipv4: '10.96.0.11', ipv6: 'fd00:96::11' }, nodePort: 30001 };
const FAR = { clusterIps: { ipv4: '10.96.0.12', ipv6: 'fd00:96::12' }, nodePort: 30002 };
const LOCAL_NODE_PORT = 30003;
const HOST_PORT = 8080;
const OUR_JUMP = '-A FORWARD -j KUBE-NWPLCY-CHAIN';

const CLIENTS = { namespaceSelector: {}, podSelector: { matchLabels: { role: 'client' } } };
const SHOP = { namespaceSelector: { matchLabels: { team: 'shop' } } };
/** Clients and one host may use the shop. */
const INGRESS = policy('shop/ingress', {
  podSelector: {},
  ingress: [{ from: [CLIENTS, ...blocksOf(OUTSIDE)], ports: PORTS }],
});

describe.for(CASES)('$network, cniVersion $cniVersion, $backend beside $theirs', (place) => {
  const { network, cniVersion, theirs, backend } = place;
  let cluster: ProductCluster;
  let lab: Lab;
  let first: LabNode;
  let second: LabNode;
  let near: LabPod;
  let far: LabPod;
  let clients: readonly LabPod[];
  let outside: LabHost;
  let stranger: LabHost;

  beforeAll(async () => {
    cluster = await ProductCluster.start({ mode: 'flannel', nodes: 2, cniVersion, backend, listen: [80, 81] });
    ({ lab } = cluster);
    [first, second] = [lab.node(1), lab.node(2)];
    if (network === 'vxlan') await joinByVxlan(lab.nodes);
    lab.applyNamespace('shop', { team: 'shop' });
    lab.applyNamespace('clients');
    outside = await lab.addHost('outside', OUTSIDE);
    stranger = await lab.addHost('stranger', STRANGE);
    // They come first: the recorded rules lead to their addresses.
    [near, far] = await Promise.all([addShop(first), addShop(second)]);
    clients = (await Promise.all([first, second].map(addClients))).flat();
    await writeTheirRules();
    await settledFirstRules(lab, backend);
    lab.manifests.apply(INGRESS);
    await lab.sync();
  });
  afterAll(() => cluster[Symbol.dispose]());

  test('the result that portmap passes on names the bridge and its port, and the port is found', () => {
    for (const node of lab.nodes)
      for (const pod of node.pods) {
        const names = pod.result?.interfaces?.map(({ name }) => name) ?? [];
        expect(names).toEqual(['cni0', expect.stringMatching(/^veth/), 'eth0']);
        const record = readAttachment(node.inside(node.runtimeDir), pod);
        expect(record).toMatchObject({ network: 'cbr0', hostInterface: names[1], bridged: true });
      }
  });

  test('pods of both nodes and hosts outside get what evaluate says', async () => {
    const pods = [near, far, ...clients];
    const toPods = await matrix({ from: [...pods, outside, stranger], to: pods }, { ports: [80, 81] });
    const out = await matrix({ from: pods, to: [outside, stranger] }, { ports: [80, 81] });
    expect(disagreements([...toPods, ...out], clusterIn(lab))).toEqual([]);
    expect(toPods.filter(isOpen).length).toBeGreaterThan(0);
  });

  test('a ClusterIP is judged by the client itself and the pod behind, on the same node and on the other', async () => {
    const ways = clients.flatMap((from) => [...clusterIp(from, NEAR, near), ...clusterIp(from, FAR, far)]);
    expect(await wrongWays(ways)).toEqual([]);
    expect(await sourcesAt(far)).toEqual(addressesOf(clients.filter((pod) => pod.name.startsWith('client'))));
  });

  test('who is refused behind a ClusterIP is told so: nobody waits for an answer that does not come', async () => {
    const cells = await go(clients.flatMap((from) => [...clusterIp(from, NEAR, near), ...clusterIp(from, FAR, far)]));
    const closed = cells.filter((cell) => cell.target.protocol === 'TCP' && !isOpen(cell));
    expect(closed.length).toBeGreaterThan(0);
    expect(new Set(closed.map(({ outcome }) => outcome))).toEqual(new Set(['refused']));
  });

  test('egress through a ClusterIP is judged by the pod behind: a block of ClusterIPs allows nothing', async () => {
    const services = [{ ipBlock: { cidr: '10.96.0.0/16' } }, { ipBlock: { cidr: 'fd00:96::/112' } }];
    const verdicts = [];
    for (const to of [services, [SHOP]]) {
      await using stack = await withPolicies([
        policy('clients/egress', { podSelector: {}, policyTypes: ['Egress'], egress: [{ to, ports: PORTS }] }),
      ]);
      const ways = clients.flatMap((from) => [...clusterIp(from, NEAR, near), ...clusterIp(from, FAR, far)]);
      const cells = await go(ways);
      expect(disagreements(cells, clusterIn(lab))).toEqual([]);
      verdicts.push(cells.some(isOpen));
      void stack;
    }
    expect(verdicts).toEqual([false, true]);
  });

  test('a pod that may neither send nor receive reaches itself through its own Service, masqueraded', async () => {
    await using stack = await withPolicies([
      policy('shop/none', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }),
    ]);
    lab.manifests.delete(INGRESS);
    stack.defer(() => void lab.manifests.apply(INGRESS));
    await lab.sync();
    const itself = clusterIp(near, NEAR, near);
    expect(await wrongWays([...itself, ...clusterIp(near, FAR, far), ...clusterIp(far, NEAR, near)])).toEqual([]);
    expect(await sourcesAt(near)).toEqual(gatewaysOf(first));
    expect((await go(itself)).map(isOpen)).toEqual(itself.flatMap(() => [true, true]));
  });

  describe('a NodePort', () => {
    test('is judged by the client where the pod is on the node that was asked, though the pod sees the node', async () => {
      const ways = [outside, stranger].flatMap((from) => [
        ...nodePort(from, { node: first, port: NEAR.nodePort, to: near }),
        ...nodePort(from, { node: second, port: FAR.nodePort, to: far }),
      ]);
      expect(await wrongWays(ways)).toEqual([]);
      expect(await sourcesAt(near)).toEqual(gatewaysOf(first));
    });

    test('is judged by the node that was asked where the pod is on another, with the address it has on the way there', async () => {
      const ways = [outside, stranger].flatMap((from) =>
        nodePort(from, { node: second, port: NEAR.nodePort, to: near, seenAs: onTheWay(second) }),
      );
      expect(await wrongWays(ways)).toEqual([]);
      expect((await go(ways)).some(isOpen)).toBe(false);
      const blocks = blocksOf(FAMILIES.map((family) => onTheWay(second)[family]));
      await using stack = await withPolicies([policy('shop/nodes', { podSelector: {}, ingress: [{ from: blocks }] })]);
      const cells = await go(ways);
      expect(disagreements(cells, clusterIn(lab))).toEqual([]);
      expect(cells.every(isOpen)).toBe(true);
      void stack;
    });

    test('with externalTrafficPolicy Local is judged by the client, which the pod sees too', async () => {
      const ways = [outside, stranger].flatMap((from) => [
        ...nodePort(from, { node: first, port: LOCAL_NODE_PORT, to: near }),
        ...nodePort(from, { node: second, port: LOCAL_NODE_PORT, to: far }),
      ]);
      expect(await wrongWays(ways)).toEqual([]);
      expect(await sourcesAt(near)).toEqual(addressesOf([outside]));
    });

    test('of its own node is judged by the pod that asks', async () => {
      const ways = clients
        .filter((pod) => first.pods.has(pod))
        .flatMap((from) => nodePort(from, { node: first, port: NEAR.nodePort, to: near }));
      expect(await wrongWays(ways)).toEqual([]);
    });
  });

  test('a node reaches the pods behind Services that it has itself, and is judged by its address on the way to those of another', async () => {
    // Without a route there is nothing to send, whatever would become of it on its way.
    for (const family of FAMILIES)
      await output(first.run, ['ip', family === 'ipv4' ? '-4' : '-6', 'route', 'add', 'default', 'dev', 'eth0']);
    const local = [...clusterIp(first, NEAR, near), ...nodePort(first, { node: first, port: NEAR.nodePort, to: near })];
    const remote = clusterIp(first, FAR, far).map((way) => ({ ...way, seenAs: onTheWay(first) }));
    expect(await wrongWays([...local, ...remote])).toEqual([]);
    expect((await go(local)).every(isOpen)).toBe(true);
    expect((await go(remote)).some(isOpen)).toBe(false);
  });

  test('egress behind masquerade is judged by the real destination, which sees the node', async () => {
    await using stack = await withPolicies([
      policy('clients/egress', { podSelector: {}, policyTypes: ['Egress'], egress: [{ to: blocksOf(OUTSIDE) }] }),
    ]);
    for (const host of [outside, stranger]) await host.probe.forgetArrivals();
    const cells = await matrix({ from: clients, to: [outside, stranger] }, { ports: [80] });
    expect(disagreements(cells, clusterIn(lab))).toEqual([]);
    expect(await sourcesAt(outside)).toEqual(addressesOf([first, second]));
    expect(await stranger.probe.arrivals()).toEqual([]);
    void stack;
  });

  test('a hostPort is judged by the client and the pod behind, from outside and from pods of the same node', async () => {
    const asked = [outside, stranger, near, ...clients.filter((pod) => first.pods.has(pod))];
    const ways = asked.flatMap((from) => nodePort(from, { node: first, port: HOST_PORT, to: near }));
    expect(await wrongWays(ways)).toEqual([]);
    expect((await go(ways)).filter(isOpen).map(({ from }) => from.key)).toEqual(
      ['outside', near.key, 'clients/client-1'].flatMap((key) => [key, key, key, key]),
    );
  });

  test('a hostPort of another node is judged by the address of the own one, as masquerade has it', async () => {
    const seenAs = addressesByFamily(second);
    const ways = clients
      .filter((pod) => second.pods.has(pod))
      .flatMap((from) => nodePort(from, { node: first, port: HOST_PORT, to: near, seenAs }));
    expect(await wrongWays(ways)).toEqual([]);
    expect((await go(ways)).some(isOpen)).toBe(false);
  });

  test('whatever is put before our rules, they are met first again', async () => {
    await writeTheirRules();
    // With nftables it is the priority of our chains that says so.
    expect(await settledFirstRules(lab, backend)).toEqual(isNftables ? [] : Array(4).fill(OUR_JUMP));
    expect(await wrongWays(clients.flatMap((from) => clusterIp(from, NEAR, near)))).toEqual([]);
  });

  async function writeTheirRules(): Promise<void> {
    for (const node of lab.nodes)
      await (theirs === 'nftables' ? writeNftClusterRules(node) : writeClusterRules(node, theirs));
  }

  async function withPolicies(policies: readonly Manifest[]): Promise<AsyncDisposableStack> {
    const stack = new AsyncDisposableStack();
    stack.defer(async () => lab.sync());
    for (const each of policies) {
      lab.manifests.apply(each);
      stack.defer(() => void lab.manifests.delete(each));
    }
    await lab.sync();
    return stack;
  }

  async function wrongWays(ways: readonly Way[]): Promise<readonly string[]> {
    await Promise.all([near, far].map(async (pod) => pod.probe.forgetArrivals()));
    return disagreements(await go(ways), clusterIn(lab));
  }

  /** Returns the address that other nodes see of a node that sends to their pods. */
  function onTheWay({ number }: LabNode): Addresses {
    const addressIn = network === 'vxlan' ? vtepAddress : nodeAddress;
    return { ipv4: addressIn(number, 'ipv4'), ipv6: addressIn(number, 'ipv6') };
  }
});

type Addresses = Readonly<Record<(typeof FAMILIES)[number], string>>;

/** A way to a pod that does not name it. */
interface Way {
  readonly from: Party;
  readonly address: string;
  readonly port: number;
  /** The pod behind. */
  readonly to: LabPod;
  /** What the node of that pod takes for the source, where it is another than the client. */
  readonly seenAs?: Addresses;
}

function clusterIp(from: Party, { clusterIps }: typeof NEAR, to: LabPod): readonly Way[] {
  return FAMILIES.map((family) => ({ from, address: clusterIps[family], port: 80, to }));
}

interface NodePort {
  readonly node: LabNode;
  readonly port: number;
  readonly to: LabPod;
  readonly seenAs?: Addresses;
}

function nodePort(from: Party, { node, ...way }: NodePort): readonly Way[] {
  return node.addresses.map((address) => ({ from, address, ...way }));
}

/** Goes each way by TCP and by UDP. The flow is that of the client to the pod behind. */
async function go(ways: readonly Way[]): Promise<readonly Cell[]> {
  const cells = ways.map(async ({ from, address, port, to, seenAs }) => {
    const targets = PROTOCOLS.map((protocol) => ({ address, port, protocol }));
    const results = await from.probe.dial(targets);
    const family = familyOf(address);
    const source: Endpoint =
      seenAs === undefined ? from.endpoint(of(from, family)) : { kind: 'address', address: seenAs[family] };
    return targets.map((target, index): Cell => {
      const flow = { from: source, to: to.endpoint(of(to, family)), protocol: target.protocol, port: 80 };
      return { from, to, target, flow, ...(results[index] ?? { outcome: 'timeout' }) };
    });
  });
  return (await Promise.all(cells)).flat();
}

function of({ addresses }: Pick<Party, 'addresses'>, family: (typeof FAMILIES)[number]): string {
  return addresses.find((address) => familyOf(address) === family) ?? '';
}

function addressesByFamily(party: Party): Addresses {
  return { ipv4: of(party, 'ipv4'), ipv6: of(party, 'ipv6') };
}

function addressesOf(parties: readonly Party[]): readonly string[] {
  return parties.flatMap(({ addresses }) => addresses).toSorted();
}

/** Returns the addresses of a node on the bridge of its pods. */
function gatewaysOf({ number }: LabNode): readonly string[] {
  return [`10.244.${number}.1`, `fd00:244:0:${number}::1`];
}

/** Returns the sources of what has come in. */
async function sourcesAt({ probe }: Party): Promise<readonly string[]> {
  return [...new Set((await probe.arrivals()).map(({ from }) => from))].toSorted();
}

function blocksOf(addresses: readonly string[]) {
  return addresses.map((address) => ({ ipBlock: { cidr: `${address}/${familyOf(address) === 'ipv4' ? 32 : 128}` } }));
}

async function addShop(node: LabNode): Promise<LabPod> {
  const mappings = (['tcp', 'udp'] as const).map((protocol) => ({ hostPort: HOST_PORT, containerPort: 80, protocol }));
  return node.addPod({ namespace: 'shop', name: `web-${node.number}`, portMappings: mappings });
}

async function addClients(node: LabNode): Promise<readonly LabPod[]> {
  const client = { namespace: 'clients', name: `client-${node.number}`, labels: { role: 'client' } };
  return Promise.all(
    [client, { namespace: 'clients', name: `stranger-${node.number}` }].map(async (spec) => node.addPod(spec)),
  );
}

/** Returns the first rule of FORWARD of each node and family, at the latest when ours should long have been it; with nftables none should. */
async function settledFirstRules({ nodes }: Lab, backend: Backend): Promise<readonly string[]> {
  if (backend === 'nftables') return [];
  const looks = nodes.flatMap(({ run }) =>
    programsOf(backend).map((tool) => async () => output(run, [tool, '-S', 'FORWARD', '1'])),
  );
  for (const deadline = monotonicMs() + 10_000; ; await sleep(50)) {
    const rules = (await Promise.all(looks.map(async (look) => look()))).map((rule) => rule.trim());
    if (rules.every((rule) => rule === OUR_JUMP) || monotonicMs() > deadline) return rules;
  }
}
