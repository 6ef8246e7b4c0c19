import { describe, expect, test } from 'vitest';
import { renderNode } from '../../src/cli/render.ts';
import type { IpFamily } from '../../src/net/family.ts';
import { loadExamples, type Example } from '../helpers/examples.ts';
import { clusterOf, pod as podObject, type Manifest, type PodFacts } from '../helpers/manifests.ts';
import { startLab, type Lab } from '../lab/lab.ts';
import { disagreements, isOpen, matrix } from '../lab/matrix.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { output } from '../lab/run.ts';

// What `render` prints, put into a kernel by the very programs that it names, on nodes that neither plugin nor agent has ever seen.

const PORTS = [80, 6379, 9100, 9187];
const NAMES = ['test-network-policy', 'selectors-or', 'default-deny-egress', 'named-port'];
const EXAMPLES = loadExamples().filter(({ name }) => NAMES.includes(name));
const BACKENDS = ['nft', 'legacy'] as const;
const RESTORE: Readonly<Record<IpFamily, string>> = { ipv4: 'iptables', ipv6: 'ip6tables' };

describe.for(BACKENDS)('by iptables-%s', (backend) => {
  test.for(EXAMPLES)('the node refuses what $name refuses and nothing else', async (example) => {
    using lab = await startLab({ nodes: 2, listen: PORTS });
    const pods = await addPods(lab, example);
    const cluster = clusterOf([
      ...example.cluster.filter((manifest) => !isPod(manifest)),
      ...example.policies,
      ...pods.map(({ object }) => object),
    ]);
    for (const node of lab.nodes) await restore(node, { text: renderNode(cluster, node.name), backend });
    const parties = pods.map(({ pod }) => pod);
    const cells = await matrix({ from: parties, to: parties }, { ports: PORTS });
    expect(disagreements(cells, cluster)).toEqual([]);
    expect(new Set(cells.map(isOpen))).toEqual(new Set([true, false]));
  });
});

async function restore(
  node: LabNode,
  { text: { ipset, rules }, backend }: { readonly text: ReturnType<typeof renderNode>; readonly backend: string },
): Promise<void> {
  await output(node.run, ['ipset', 'restore', '-exist'], { input: ipset });
  for (const family of ['ipv4', 'ipv6'] as const)
    await output(node.run, [`${RESTORE[family]}-${backend}-restore`, '--noflush'], { input: rules[family] });
}

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
