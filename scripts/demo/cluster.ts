import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { env } from 'node:process';
import type { IpFamily } from '../../src/net/family.ts';
import { startLab, type Lab } from '../../test/lab/lab.ts';
import type { LabHost } from '../../test/lab/host.ts';
import type { LabPod, PodSpec } from '../../test/lab/pod.ts';

/** The product. */
export const EXECUTABLE = resolve(import.meta.dirname, '../../dist/kube-nwplcy');

// As the policies in examples/ want them: each of these has something to select here.
const NAMESPACES: readonly { readonly name: string; readonly labels?: Readonly<Record<string, string>> }[] = [
  { name: 'default' },
  { name: 'alice', labels: { user: 'alice', project: 'myproject' } },
  { name: 'kube-system' },
];

const PODS: readonly (PodSpec & { readonly node: number })[] = [
  { node: 1, namespace: 'default', name: 'frontend', labels: { role: 'frontend' } },
  { node: 2, namespace: 'default', name: 'client', labels: { role: 'client' } },
  { node: 1, namespace: 'default', name: 'web', labels: { app: 'web' } },
  { node: 2, namespace: 'default', name: 'db', labels: { role: 'db' } },
  { node: 1, namespace: 'alice', name: 'client', labels: { role: 'client' } },
  { node: 2, namespace: 'alice', name: 'job' },
  { node: 2, namespace: 'kube-system', name: 'dns', labels: { 'k8s-app': 'kube-dns' } },
];

/** Hosts outside of the cluster, on either side of an `except`. */
const HOSTS = ['172.17.0.9', '172.17.1.9'];

/** What every pod listens to. */
export const PORTS = [
  { protocol: 'TCP', port: 80 },
  { protocol: 'TCP', port: 6379 },
  { protocol: 'UDP', port: 53 },
] as const;

export interface DemoCluster {
  readonly lab: Lab;
  readonly families: readonly IpFamily[];
  readonly pods: readonly LabPod[];
  readonly hosts: readonly LabHost[];
}

/** Starts two nodes with an agent each, and their pods. What is left of it ends with this process. */
export async function startCluster(): Promise<DemoCluster> {
  const families: readonly IpFamily[] = existsSync('/proc/net/if_inet6') ? ['ipv4', 'ipv6'] : ['ipv4'];
  const listen = PORTS.map(({ port }) => port);
  const lab = await startLab({ nodes: 2, families, listen, product: { executable: EXECUTABLE } });
  for (const { name, labels } of NAMESPACES) lab.applyNamespace(name, labels);
  // The plugin takes the one of its node's agent.
  const backend = env['BACKEND'] === undefined ? [] : ['--backend', env['BACKEND']];
  await Promise.all(lab.nodes.map((node) => node.startAgent(backend)));
  const pods = await Promise.all(PODS.map(({ node, ...spec }) => lab.node(node).addPod(spec)));
  const hosts: LabHost[] = [];
  for (const address of HOSTS) hosts.push(await lab.addHost(address, [address]));
  return { lab, families, pods, hosts };
}

/** Returns the cluster as a table, a line for each pod, in the order of the matrices. */
export function clusterText({ pods, hosts }: DemoCluster): readonly string[] {
  const lines = PODS.map(({ node, namespace, name, labels }, index) => [
    `${namespace}/${name}`,
    labelsText(labels),
    `node-${node}`,
    ...(pods[index]?.addresses ?? []),
  ]);
  const widths = [18, 20, 8, 13];
  return [
    ...lines.map((columns) =>
      columns
        .map((text, index) => text.padEnd(widths[index] ?? 0))
        .join('')
        .trimEnd(),
    ),
    ...NAMESPACES.filter(({ labels }) => labels !== undefined).map(
      ({ name, labels }) => `Namespace "${name}" has the labels ${labelsText(labels)}.`,
    ),
    `${hosts.map(({ key }) => key).join(' and ')} are hosts outside of the cluster.`,
  ];
}

function labelsText(labels: Readonly<Record<string, string>> = {}): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
}
