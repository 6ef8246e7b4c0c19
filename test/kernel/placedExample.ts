import { familyOf } from '../../src/net/family.ts';
import type { Example, ExampleCell } from '../helpers/examples.ts';
import type { LabHost } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import type { Manifest } from '../lab/manifests.ts';
import { describe as describeCell, isOpen, type Cell, type Party } from '../lab/matrix.ts';
import type { LabPod, PodSpec } from '../lab/pod.ts';

/** A manifest of an example's cluster. */
export interface ExampleManifest extends Manifest {
  readonly metadata: {
    readonly namespace?: string;
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: { readonly containers?: readonly { readonly ports?: NonNullable<PodSpec['ports']> }[] };
}

/** The hosts that stand for pods of chosen addresses; the same ones serve all examples of a lab. */
export type OutsideHosts = Map<string, LabHost>;

/** Returns an example's manifests of a kind. */
export function manifestsOf(example: Example, kind: string): readonly ExampleManifest[] {
  return (example.cluster as readonly ExampleManifest[]).filter((manifest) => manifest.kind === kind);
}

/** Returns the pods of an example that live on the lab's nodes. */
export function freePods(example: Example): readonly ExampleManifest[] {
  const fixed = fixedPods(example);
  return manifestsOf(example, 'Pod').filter((pod) => !fixed.includes(pod));
}

/** Returns `namespace/name` of a pod. */
export function keyOf({ metadata }: ExampleManifest): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** Adds an example's pods to the lab's nodes in turn, until the stack is disposed. */
export async function addPods(lab: Lab, example: Example, stack: AsyncDisposableStack): Promise<readonly LabPod[]> {
  const added = freePods(example).map(async ({ metadata, spec }, index) =>
    lab.node(1 + (index % lab.nodes.length)).addPod({
      namespace: metadata.namespace ?? '',
      name: metadata.name,
      labels: metadata.labels ?? {},
      ports: (spec?.containers ?? []).flatMap(({ ports = [] }) => ports),
    }),
  );
  const pods = await Promise.all(added);
  for (const pod of pods) stack.defer(async () => pod.delete());
  return pods;
}

/** Returns the hosts outside of the cluster that an example needs. */
export async function addHosts(lab: Lab, example: Example, hosts: OutsideHosts): Promise<readonly LabHost[]> {
  const outside: LabHost[] = [];
  for (const pod of fixedPods(example)) outside.push(await addHost(lab, hosts, pod));
  return outside;
}

/** The pods whose addresses an example chooses stand for hosts outside of the cluster: their networks are no node's. */
function fixedPods(example: Example): readonly ExampleManifest[] {
  return manifestsOf(example, 'Pod').filter((pod) => (example.addresses.get(keyOf(pod)) ?? []).length > 0);
}

async function addHost(lab: Lab, hosts: OutsideHosts, pod: ExampleManifest): Promise<LabHost> {
  const addresses = ((pod['status'] as { podIPs: readonly { ip: string }[] }).podIPs ?? []).map(({ ip }) => ip);
  const id = [keyOf(pod), ...addresses].join();
  const host = hosts.get(id) ?? (await lab.addHost(keyOf(pod), addresses));
  hosts.set(id, host);
  return host;
}

/** Returns the ports that an example asks about. */
export function portsOf({ cells }: Example): readonly number[] {
  return [...new Set(cells.map(({ port }) => port))];
}

/** Returns a line for each cell whose pinned verdict the kernel does not give. */
export function mispinned(cells: readonly Cell[], example: Example): readonly string[] {
  const measured = new Map(cells.map((cell) => [idOf(cell.from, cell.to, cell.target), cell]));
  return example.cells.flatMap((pinned) => {
    const cell = measured.get(pinnedId(pinned));
    return cell === undefined || isOpen(cell) === (pinned.verdict === 'allow') ? [] : [describeCell(cell)];
  });
}

function idOf(from: Party, to: Party, { address, protocol, port }: Cell['target']): string {
  return [from.key, to.key, protocol, port, familyOf(address)].join(' ');
}

function pinnedId({ from, to, protocol, port, family }: ExampleCell): string {
  return [from, to, protocol, port, family].join(' ');
}
