import type { Cluster, KubeObject } from '../kube/cluster.ts';
import { namespaceNamed } from '../kube/namespace.ts';
import type { Namespace } from '../kube/namespace.ts';
import { objectKey } from '../kube/pod.ts';
import type { Pod } from '../kube/pod.ts';
import { quote } from '../net/quote.ts';
import type { ManifestObject } from './manifest.ts';
import { isSameObject } from './sameObject.ts';
import type { SourceProblem } from './source.ts';

/** The objects of one file. */
export interface FileObjects {
  readonly path: string;
  readonly objects: readonly ManifestObject[];
}

export interface Assembled {
  /** `previous` itself when it says the same; objects, too, keep their identity as long as they say the same. */
  readonly cluster: Cluster;
  readonly problems: readonly SourceProblem[];
}

/** Puts the objects of all files together. Of an object that is there twice, the first in the order of `files` counts. */
export function assemble(files: readonly FileObjects[], previous: Cluster): Assembled {
  const { objects, problems } = withoutDuplicates(files);
  const foundPods = objects.filter((object) => object.kind === 'Pod');
  const foundNamespaces = objects.filter((object) => object.kind === 'Namespace');
  const pods = reuse(foundPods, previous.pods);
  const policies = reuse(
    objects.filter((object) => object.kind === 'NetworkPolicy'),
    previous.policies,
  );
  const namespaces = reuse([...impliedNamespaces(foundPods), ...foundNamespaces], previous.namespaces);
  const isSame = pods === previous.pods && policies === previous.policies && namespaces === previous.namespaces;
  return { cluster: isSame ? previous : { namespaces, pods, policies }, problems };
}

function withoutDuplicates(files: readonly FileObjects[]): {
  objects: readonly KubeObject[];
  problems: readonly SourceProblem[];
} {
  const owners = new Map<string, string>();
  const objects: KubeObject[] = [];
  const problems: SourceProblem[] = [];
  for (const { path, object, line } of files.flatMap((file) =>
    file.objects.map((found) => ({ ...found, path: file.path })),
  )) {
    const title = `${object.kind} "${keyOf(object)}"`;
    const owner = owners.get(title);
    if (owner === undefined) {
      owners.set(title, path);
      objects.push(object);
    } else {
      const message = `Cannot use ${title} of ${quote(path)}: it is already in ${quote(owner)}`;
      problems.push({ where: path, line, message });
    }
  }
  return { objects, problems };
}

// The API server has a namespace for every pod; a manifest for it is needed only where it has labels of its own.
function impliedNamespaces(pods: readonly Pod[]): readonly Namespace[] {
  return Array.from(new Set(pods.map((pod) => pod.namespace)), (name) => namespaceNamed(name));
}

function reuse<T extends KubeObject>(objects: readonly T[], previous: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  const reused = new Map(objects.map((object) => [keyOf(object), reuseObject(object, previous.get(keyOf(object)))]));
  const isSame =
    reused.size === previous.size && reused.entries().every(([key, object]) => previous.get(key) === object);
  return isSame ? previous : reused;
}

function reuseObject<T extends KubeObject>(object: T, previous: T | undefined): T {
  return previous !== undefined && isSameObject(object, previous) ? previous : object;
}

function keyOf(object: KubeObject): string {
  return object.kind === 'Namespace' ? object.name : objectKey(object);
}
