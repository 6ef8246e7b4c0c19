import { canonicalAddress } from '../net/address.ts';
import type { Protocol } from '../net/protocol.ts';
import { show } from './field.ts';
import type { Field } from './field.ts';
import type { Labels } from './labels.ts';
import { decodeDnsSubdomain, decodeMetadata } from './metadata.ts';
import { decodePortName, decodePortNumber, decodeProtocol } from './port.ts';
import { Shared, sharedText } from './shared.ts';

const PHASES = ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'] as const;

export type PodPhase = (typeof PHASES)[number];

/** A port that a container declares. */
export interface ContainerPort {
  readonly protocol: Protocol;
  readonly port: number;
}

export interface NamedPort extends ContainerPort {
  readonly name: string;
}

/** The ports of the containers and of init containers that keep running (`restartPolicy: Always`). */
interface DeclaredPorts {
  readonly namedPorts: readonly NamedPort[];
  /** Nothing to a policy, which opens ports by number whether declared or not: they tell people where a pod listens. */
  readonly unnamedPorts: readonly ContainerPort[];
}

/** The fields of a v1 Pod that policies look at. */
export interface Pod extends DeclaredPorts {
  readonly kind: 'Pod';
  readonly namespace: string;
  readonly name: string;
  /** Manifests may leave it out; the API server never does. */
  readonly uid: string | undefined;
  /** For a static pod the identity under which the runtime knows it (annotation `kubernetes.io/config.hash`). */
  readonly staticPodHash: string | undefined;
  readonly labels: Labels;
  readonly nodeName: string | undefined;
  readonly hostNetwork: boolean;
  readonly phase: PodPhase;
  /** Canonical addresses, `status.podIPs` or else `status.podIP`. */
  readonly addresses: readonly string[];
}

/** Returns the key under which a namespaced object is stored: `namespace/name`. */
export function objectKey(object: { readonly namespace: string; readonly name: string }): string {
  return `${object.namespace}/${object.name}`;
}

/** Returns the namespace in an object's key. */
export function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}

/** Tells whether the pod's containers have ended for good: its address may already belong to somebody else. */
export function isFinished(pod: Pod): boolean {
  return pod.phase === 'Succeeded' || pod.phase === 'Failed';
}

/** Decodes a v1 Pod. Fields that no policy looks at may hold anything. */
export function decodePod(field: Field): Pod {
  const metadata = decodeMetadata(field.child('metadata'));
  const spec = field.child('spec');
  const status = field.child('status');
  const { namedPorts, unnamedPorts } = decodePorts(spec);
  return {
    kind: 'Pod',
    namespace: sharedText(metadata.namespace),
    name: metadata.name,
    uid: metadata.uid,
    staticPodHash: staticPodHash(metadata.annotations),
    labels: metadata.labels,
    nodeName: decodeNodeName(spec.child('nodeName')),
    hostNetwork: spec.child('hostNetwork').boolean(),
    phase: decodePhase(status.child('phase')),
    addresses: decodeAddresses(status),
    namedPorts,
    unnamedPorts,
  };
}

// The kubelet gives the mirror of a static pod both annotations. On any other pod the hash is what its author made up, to pass
// for somebody else's pod.
function staticPodHash(annotations: Labels): string | undefined {
  return annotations.has('kubernetes.io/config.mirror') ? annotations.get('kubernetes.io/config.hash') : undefined;
}

function decodeNodeName(field: Field): string | undefined {
  return field.string() === '' ? undefined : sharedText(decodeDnsSubdomain(field));
}

// The API server sets a phase on every pod; a manifest without one was written by hand for a pod that lives.
function decodePhase(field: Field): PodPhase {
  if (field.isAbsent || field.value === '') return 'Running';
  const phase = PHASES.find((known) => known === field.value);
  return phase ?? field.fail(`Cannot use ${show(field.value)}: must be one of ${PHASES.join(', ')}`, 'Running');
}

const NO_ADDRESSES: readonly string[] = [];

function decodeAddresses(status: Field): readonly string[] {
  const podIps = status.list('podIPs', (podIp) => podIp.child('ip'));
  const podIp = status.child('podIP');
  const fields = podIps.length === 0 && podIp.string() !== '' ? [podIp] : podIps;
  return fields.length === 0 ? NO_ADDRESSES : [...new Set(fields.map(decodeAddress))];
}

function decodeAddress(field: Field): string {
  try {
    const address = canonicalAddress(field.string());
    if (address !== '0.0.0.0' && address !== '::') return address;
    // The kernel takes the unspecified address into no set: one such pod would fail the whole write.
    return field.fail(`Cannot use "${address}": no pod has that address`, '');
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return field.fail(error.message, '');
  }
}

// Containers before sidecars: the order in which a Service looks for a named port too.
function decodePorts(spec: Field): DeclaredPorts {
  const sidecars = spec.child('initContainers').elements().filter(isSidecar);
  const containers = [...spec.child('containers').elements(), ...sidecars];
  return shared(containers.flatMap((container) => container.list('ports', decodeContainerPort)));
}

const declared = new Shared<DeclaredPorts>(4096);

function shared(ports: readonly NamedPort[]): DeclaredPorts {
  const unnamed = ports.filter(({ name }) => name === '');
  // Unambiguous also for a name that was refused: a bad pod must not leave its ports to a good one.
  return declared.get(JSON.stringify(ports), {
    namedPorts: ports.filter(({ name }) => name !== ''),
    unnamedPorts: unnamed.map(({ protocol, port }) => ({ protocol, port })),
  });
}

function isSidecar(container: Field): boolean {
  return container.child('restartPolicy').value === 'Always';
}

function decodeContainerPort(field: Field): NamedPort {
  const name = field.child('name');
  const protocol = field.child('protocol');
  return {
    name: name.string() === '' ? '' : decodePortName(name),
    protocol: protocol.value === '' ? 'TCP' : decodeProtocol(protocol),
    port: decodePortNumber(field.child('containerPort')),
  };
}
