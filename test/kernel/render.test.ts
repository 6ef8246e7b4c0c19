import { describe, expect, test } from 'vitest';
import { renderNode } from '../../src/cli/render.ts';
import { BACKENDS, type Backend } from '../../src/dataplane/backend.ts';
import type { Cluster } from '../../src/kube/cluster.ts';
import { loadExamples, type Example } from '../helpers/examples.ts';
import { clusterOf, pod as podObject, type Manifest, type PodFacts } from '../helpers/manifests.ts';
import { startLab, type Lab } from '../lab/lab.ts';
import { disagreements, isOpen, matrix } from '../lab/matrix.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { output } from '../lab/run.ts';
import { isNftables } from './backend.ts';

// What `render` prints, put into a kernel by the very programs that it names, on nodes that neither plugin nor agent has ever seen.

const PORTS = [80, 6379, 9100, 9187];
const NAMES = ['test-network-policy', 'selectors-or', 'default-deny-egress', 'named-port'];
const EXAMPLES = loadExamples().filter(({ name }) => NAMES.includes(name));

/** Those of this run. */
const RENDERED = BACKENDS.filter((backend) => (backend === 'nftables') === isNftables);

describe.for(RENDERED)('by %s', (backend) => {
  test.for(EXAMPLES)('the node refuses what $name refuses and nothing else', async (example) => {
    using lab = await startLab({ nodes: 2, listen: PORTS });
    const pods = await addPods(lab, example);
    const cluster = clusterOf([
      ...example.cluster.filter((manifest) => !isPod(manifest)),
      ...example.policies,
      ...pods.map(({ object }) => object),
    ]);
    for (const node of lab.nodes) await restore(node, { cluster, backend });
    const parties = pods.map(({ pod }) => pod);
    const cells = await matrix({ from: parties, to: parties }, { ports: PORTS });
    expect(disagreements(cells, cluster)).toEqual([]);
    expect(new Set(cells.map(isOpen))).toEqual(new Set([true, false]));
  });
});

async function restore(
  node: LabNode,
  { cluster, backend }: { readonly cluster: Cluster; readonly backend: Backend },
): Promise<void> {
  const rendered = renderNode(cluster, {
    nodeName: node.name,
    backend: backend === 'nftables' ? 'nftables' : 'iptables',
  });
  for (const [section, input] of rendered) await output(node.run, PROGRAMS[section](backend), { input });
}

const PROGRAMS = {
  nftables: () => ['nft', '-f', '-'],
  ipset: () => ['ipset', 'restore', '-exist'],
  iptables: (backend: Backend) => [`${backend}-restore`, '--noflush'],
  ip6tables: (backend: Backend) => [`${backend.replace('iptables', 'ip6tables')}-restore`, '--noflush'],
};

interface PlacedPod {
  readonly pod: LabPod;
  /** Its object, with the node and the addresses that it got. */
  readonly object: Manifest;
}

async function addPods(lab: Lab, example: Example): Promise<readonly PlacedPod[]> {
  return Promise.all(
    example.cluster.filter(isPod).map(async ({ metadata: { namespace, name, labels = {} }, spec }, index) => {
      const node = lab.node(1 + (index % lab.nodes.length));
      const ports = (spec?.containers ?? []).flatMap(({ ports: own = [] }) => own);
      const pod = await node.addPod({ namespace, name, labels, ports });
      const facts = { labels, ports, nodeName: node.name, addresses: pod.addresses };
      return { pod, object: podObject(`${namespace}/${name}`, facts) };
    }),
  );
}

function isPod(manifest: Manifest): manifest is PodManifest {
  return manifest['kind'] === 'Pod';
}

interface PodManifest extends Manifest {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: { readonly containers?: readonly { readonly ports?: NonNullable<PodFacts['ports']> }[] };
}
