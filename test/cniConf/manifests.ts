import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';

/** An object of a manifest, as far as the tests look at all of them. */
export interface ManifestObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: unknown;
}

/** What the tests look at in a container (Kubernetes API, `v1.Container`). */
export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string }[];
  readonly securityContext: {
    readonly capabilities: { readonly drop: readonly string[]; readonly add?: readonly string[] };
    readonly [field: string]: unknown;
  };
  readonly volumeMounts?: readonly VolumeMount[];
  readonly livenessProbe?: HttpProbe;
  readonly readinessProbe?: Partial<HttpProbe> & { readonly exec?: { readonly command: readonly string[] } };
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly subPath?: string;
  readonly readOnly?: boolean;
}

interface HttpProbe {
  readonly httpGet: { readonly host: string; readonly port: number; readonly path: string };
}

/** What the tests look at in a pod (Kubernetes API, `v1.PodSpec`). */
export interface PodSpec {
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes: readonly {
    readonly name: string;
    readonly hostPath: { readonly path: string; readonly type?: string };
  }[];
  readonly [field: string]: unknown;
}

/** Returns the objects of a file in `cni-conf`. */
export function manifestObjects(file: string): readonly ManifestObject[] {
  return parseAllDocuments(readFileSync(`cni-conf/${file}`, 'utf8')).map((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.toJS() as ManifestObject;
  });
}

/** Returns the pod that a file's only DaemonSet makes. */
export function podSpec(file: string): PodSpec {
  const [daemonSet, ...others] = manifestObjects(file).filter(({ kind }) => kind === 'DaemonSet');
  if (daemonSet === undefined || others.length > 0) throw new Error(`Cannot find the one DaemonSet of ${file}`);
  return (daemonSet['spec'] as { readonly template: { readonly spec: PodSpec } }).template.spec;
}

/** An operation of a JSON patch (RFC 6902). */
interface Operation {
  readonly op: string;
  readonly path: string;
  readonly value: unknown;
}

/** Returns what the patch of flannel's DaemonSet adds: one init container before flannel's, one container, and volumes. */
export function flannelPatch() {
  const [operations] = manifestObjects('flannel/agent.yaml') as unknown as readonly [readonly Operation[]];
  const valuesAt = (path: string) =>
    operations.filter((operation) => operation.op === 'add' && operation.path === path).map(({ value }) => value);
  const [initContainers, containers, volumes] = ['initContainers/0', 'containers/-', 'volumes/-'].map((end) =>
    valuesAt(`/spec/template/spec/${end}`),
  );
  return { operations, initContainers, containers, volumes } as {
    readonly operations: readonly Operation[];
  } & Pick<PodSpec, 'initContainers' | 'containers' | 'volumes'>;
}
