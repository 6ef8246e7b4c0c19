import * as fc from 'fast-check';
import { MODE_ANNOTATION } from '../../src/kube/auditMode.ts';
import { familyOf, type IpFamily } from '../../src/net/family.ts';
import { ipNumber, networkOf } from '../../src/trace/ipNumber.ts';
import { namespace, pod, policy, type LabelsManifest, type Manifest } from './manifests.ts';

// Small alphabets, so that selectors, ports and networks hit and miss about equally often.
const NAMESPACES = ['alpha', 'beta', 'gamma', 'delta'];
const LABEL_KEYS = ['app', 'tier'];
const LABEL_VALUES = ['x', 'y', ''];
const PORT_NAMES = ['web', 'dns'];
const PORT_NUMBERS = [1, 53, 80, 8080, 65_534];
const PROTOCOL_WORDS = ['TCP', 'UDP', 'SCTP', 'tcp', 'udp'];
const NODE_NUMBERS = [1, 2];

// Where the edges of generated networks lie: among pods, at nodes, outside.
const NETWORK_SEEDS: Readonly<Record<IpFamily, readonly string[]>> = {
  ipv4: ['10.244.1.1', '10.244.1.4', '10.244.2.3', '10.244.2.6', '192.168.0.1', '172.17.1.77'],
  ipv6: ['fd00:10:244:1::1', 'fd00:10:244:2::6', 'fd00:10:244:1::4', 'fd00:192::2', '2001:db8::77'],
};
const PREFIXES: Readonly<Record<IpFamily, readonly number[]>> = {
  ipv4: [0, 1, 8, 16, 23, 24, 29, 30, 31, 32],
  ipv6: [0, 1, 16, 48, 64, 125, 126, 127, 128],
};

/** Returns the address that a node has for itself in these clusters. */
function nodeAddress(node: number, family: IpFamily): string {
  return family === 'ipv4' ? `192.168.0.${node}` : `fd00:192::${node}`;
}

/**
 * Manifests of a whole cluster: 2 to 4 namespaces (some only named by their pods), 3 to 10 pods of two nodes or none yet, 0 to 6 policies.
 * They are as somebody might write them, in every variant of empty, null and missing.
 */
export const clusterManifests: fc.Arbitrary<readonly Manifest[]> = fc
  .tuple(
    fc.array(fc.record({ labels: labels(), isDeclared: often(), isAudited: seldom() }), {
      minLength: 2,
      maxLength: NAMESPACES.length,
    }),
    fc.array(podSeed(), { minLength: 3, maxLength: 10 }),
    fc.array(policySeed(), { maxLength: 6 }),
  )
  .map(([namespaces, pods, policies]) => {
    const nameOf = (index: number) => NAMESPACES[index % namespaces.length] ?? 'alpha';
    return [
      ...namespaces.flatMap((seed, index) =>
        seed.isDeclared ? [inMode(namespace(nameOf(index), seed.labels), seed)] : [],
      ),
      ...pods.map((seed, index) => podOf(seed, { index, namespaceName: nameOf(seed.namespace) })),
      ...policies.map((seed, index) => ({
        ...inMode(policy(`${nameOf(seed.namespace)}/policy-${index}`, seed.spec), seed),
        apiVersion: seed.isOld ? 'extensions/v1beta1' : 'networking.k8s.io/v1',
      })),
    ];
  });

interface PodSeed {
  readonly namespace: number;
  readonly labels: LabelsManifest;
  readonly node: number;
  readonly families: readonly IpFamily[];
  readonly life: 'running' | 'pending' | 'finished' | 'reused' | 'hostNetwork' | 'unscheduled';
  readonly ports: readonly {
    readonly name: string;
    readonly protocol: 'TCP' | 'UDP' | 'SCTP';
    readonly containerPort: number;
  }[];
}

function podSeed(): fc.Arbitrary<PodSeed> {
  return fc.record({
    namespace: fc.nat({ max: NAMESPACES.length - 1 }),
    labels: labels(),
    node: fc.constantFrom(...NODE_NUMBERS),
    families: fc.constantFrom<readonly IpFamily[]>(['ipv4'], ['ipv4', 'ipv6'], ['ipv6', 'ipv4'], ['ipv6']),
    life: fc.oneof(
      { weight: 6, arbitrary: fc.constant('running' as const) },
      { weight: 4, arbitrary: fc.constantFrom('pending', 'finished', 'reused', 'hostNetwork', 'unscheduled') },
    ),
    ports: fc.array(
      fc.record({
        name: fc.constantFrom(...PORT_NAMES),
        protocol: fc.constantFrom('TCP', 'UDP', 'SCTP'),
        containerPort: fc.constantFrom(...PORT_NUMBERS),
      }),
      { maxLength: 3 },
    ),
  });
}

const PHASES = {
  running: 'Running',
  pending: 'Pending',
  finished: 'Succeeded',
  reused: 'Failed',
  hostNetwork: 'Running',
  unscheduled: 'Pending',
};

function podOf(
  seed: PodSeed,
  { index, namespaceName }: { readonly index: number; readonly namespaceName: string },
): Manifest {
  return pod(`${namespaceName}/pod-${index}`, {
    labels: seed.labels,
    nodeName: nodeNameOf(seed),
    hostNetwork: seed.life === 'hostNetwork',
    phase: PHASES[seed.life],
    ports: seed.ports,
    addresses: seed.life === 'unscheduled' ? [] : seed.families.map((family) => podAddress(seed, { index, family })),
  });
}

// A finished pod stays listed after its network is gone. The rulesets of these tests attach every pod of a node that has an address, so
// finished ones were on a node that nobody looks at.
function nodeNameOf({ life, node }: PodSeed): string {
  if (life === 'unscheduled') return '';
  return life === 'finished' || life === 'reused' ? 'node-3' : `node-${node}`;
}

// The address of a pod that failed is by now that of the pod before it, if that one has one of the same node and family.
function podAddress(
  { node, life }: PodSeed,
  { index, family }: { readonly index: number; readonly family: IpFamily },
): string {
  if (life === 'hostNetwork') return nodeAddress(node, family);
  const host = life === 'reused' && index > 0 ? index : index + 1;
  return family === 'ipv4' ? `10.244.${node}.${host}` : `fd00:10:244:${node}::${host}`;
}

interface PolicySeed {
  readonly namespace: number;
  readonly isOld: boolean;
  readonly isAudited: boolean;
  readonly spec: Manifest;
}

function policySeed(): fc.Arbitrary<PolicySeed> {
  const spec = fc.record(
    {
      podSelector: selector(),
      policyTypes: fc.constantFrom<readonly string[] | null>(
        ['Ingress'],
        ['Egress'],
        ['Ingress', 'Egress'],
        ['Egress', 'Ingress'],
        [],
        null,
      ),
      ingress: listOf(ruleWith('from')),
      egress: listOf(ruleWith('to')),
    },
    { requiredKeys: ['podSelector'] },
  );
  return fc.record({
    namespace: fc.nat({ max: NAMESPACES.length - 1 }),
    isOld: fc.constantFrom(false, false, true),
    isAudited: seldom(),
    spec: fc.oneof({ weight: 24, arbitrary: spec }, crowdedSpec()),
  });
}

/** Many rules for the same pods, each with peers and ports of its own: what is merged, and what is told apart by ports, has such. */
function crowdedSpec(): fc.Arbitrary<Manifest> {
  const rules = (peersKey: 'from' | 'to') =>
    fc.array(
      fc.record({
        [peersKey]: fc.array(peer(), { minLength: 1, maxLength: 3 }),
        ports: fc.array(port(), { minLength: 1, maxLength: 2 }),
      }),
      { minLength: 3, maxLength: 8 },
    );
  return fc.record({
    podSelector: fc.constant({}),
    policyTypes: fc.constant(['Ingress', 'Egress']),
    ingress: rules('from'),
    egress: rules('to'),
  });
}

function ruleWith(peersKey: 'from' | 'to'): fc.Arbitrary<Manifest> {
  return fc.record({ [peersKey]: listOf(peer()), ports: listOf(port()) }, { requiredKeys: [] });
}

function peer(): fc.Arbitrary<Manifest> {
  return fc.oneof(
    fc.record({ podSelector: selector() }),
    fc.record({ namespaceSelector: selector() }),
    fc.record({ namespaceSelector: selector(), podSelector: selector() }),
    ipBlock('ipv4'),
    ipBlock('ipv6'),
  );
}

function ipBlock(family: IpFamily): fc.Arbitrary<Manifest> {
  return fc.tuple(network(family), fc.array(network(family), { maxLength: 4 })).map(([cidr, candidates]) => ({
    ipBlock: {
      cidr: networkText(cidr),
      except: candidates.filter((except) => isWithin(cidr, except)).map(networkText),
    },
  }));
}

interface Network {
  readonly address: string;
  readonly prefix: number;
}

function network(family: IpFamily): fc.Arbitrary<Network> {
  return fc.record({
    address: fc.constantFrom(...NETWORK_SEEDS[family]),
    prefix: fc.constantFrom(...PREFIXES[family]),
  });
}

// Most seeds have host bits: the API server takes such text.
function networkText({ address, prefix }: Network): string {
  return `${address}/${prefix}`;
}

function isWithin(outer: Network, inner: Network): boolean {
  const family = familyOf(outer.address);
  const head = ({ address }: Network) => networkOf(ipNumber(address, family), { family, prefix: outer.prefix });
  return inner.prefix > outer.prefix && head(inner) === head(outer);
}

function port(): fc.Arbitrary<Manifest> {
  const protocol = fc.constantFrom(...PROTOCOL_WORDS);
  return fc.oneof(
    fc.record({ protocol }, { requiredKeys: [] }),
    fc.record(
      { protocol, port: fc.constantFrom<string | number>(...PORT_NUMBERS, ...PORT_NAMES, 'nobody') },
      { requiredKeys: ['port'] },
    ),
    fc
      .record({ protocol, port: fc.constantFrom(...PORT_NUMBERS), length: fc.constantFrom(0, 1, 30, 65_535) })
      .map(({ length, ...range }) => ({ ...range, endPort: Math.min(65_535, range.port + length) })),
  );
}

function selector(): fc.Arbitrary<Manifest> {
  const matchLabels = fc.oneof(labels(), fc.constant(null));
  return fc.record({ matchLabels, matchExpressions: fc.array(requirement(), { maxLength: 2 }) }, { requiredKeys: [] });
}

function requirement(): fc.Arbitrary<Manifest> {
  const key = fc.constantFrom(...LABEL_KEYS, 'kubernetes.io/metadata.name');
  const values = fc.uniqueArray(fc.constantFrom(...LABEL_VALUES, ...NAMESPACES), { minLength: 1, maxLength: 3 });
  return fc.oneof(
    fc.record({ key, operator: fc.constantFrom('In', 'NotIn'), values }),
    fc.record({ key, operator: fc.constantFrom('Exists', 'DoesNotExist') }),
  );
}

function labels(): fc.Arbitrary<LabelsManifest> {
  return fc.dictionary(fc.constantFrom(...LABEL_KEYS), fc.constantFrom(...LABEL_VALUES), {
    maxKeys: 2,
    noNullPrototype: true,
  });
}

/** A list as manifests have it: null and empty as often as with one or two items, less often with three. */
function listOf<Item>(item: fc.Arbitrary<Item>): fc.Arbitrary<readonly Item[] | null> {
  return fc.oneof(fc.constant(null), { weight: 6, arbitrary: fc.array(item, { maxLength: 3 }) });
}

function inMode(manifest: Manifest, { isAudited }: { readonly isAudited: boolean }): Manifest {
  if (!isAudited) return manifest;
  return {
    ...manifest,
    metadata: { ...(manifest['metadata'] as Manifest), annotations: { [MODE_ANNOTATION]: 'audit' } },
  };
}

function seldom(): fc.Arbitrary<boolean> {
  return fc.constantFrom(false, false, false, false, true);
}

function often(): fc.Arbitrary<boolean> {
  return fc.constantFrom(true, true, true, true, false);
}
