import type { Cluster } from '../../src/kube/cluster.ts';
import { objectKey, type Pod } from '../../src/kube/pod.ts';
import { compile } from '../../src/policy/compile.ts';
import type { AttachedPod, PodHooks } from '../../src/rules/pod.ts';
import { wantedPolicy, type WantedPolicy } from '../../src/rules/wanted.ts';

export interface RulesOptions {
  readonly nodeName: string;
  /** Whether pods are ports of a bridge (the default) or routed each by an interface of its own. */
  readonly bridged?: boolean;
}

/** Returns the node's end of a pod's interface in these rulesets. */
export function hostInterfaceOf(cluster: Cluster, pod: Pod): string {
  return `veth${[...cluster.pods.keys()].indexOf(objectKey(pod))}`;
}

/** Returns what the agent would put into the kernel of a node where every pod with an address is attached. */
export function nodeContent(
  cluster: Cluster,
  { nodeName, bridged = true }: RulesOptions,
): { readonly policy: WantedPolicy; readonly pods: readonly AttachedPod[] } {
  const policy = wantedPolicy(compile(cluster, nodeName));
  const pods = [...policy.judgements].flatMap(([key, judgements]) => {
    const pod = cluster.pods.get(key);
    if (pod === undefined || pod.addresses.length === 0) return [];
    const hooks: PodHooks = {
      containerId: key.replace('/', '.'),
      ifName: 'eth0',
      namespace: pod.namespace,
      name: pod.name,
      addresses: pod.addresses,
      hostInterface: hostInterfaceOf(cluster, pod),
      bridged,
    };
    return [{ hooks, judgements }];
  });
  return { policy, pods };
}
