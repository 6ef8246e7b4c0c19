import type { Cluster } from '../../src/kube/cluster.ts';
import { objectKey, type Pod } from '../../src/kube/pod.ts';
import type { IpFamily } from '../../src/net/family.ts';
import { compile } from '../../src/policy/compile.ts';
import { planChains, withGeneration } from '../../src/rules/chainPlan.ts';
import { planIpsets } from '../../src/rules/ipsetPlan.ts';
import { NOTHING_IN_KERNEL } from '../../src/rules/kernelChains.ts';
import { DEFAULT_MARK_MASK, generationMark } from '../../src/rules/mark.ts';
import type { PodHooks } from '../../src/rules/podChains.ts';
import { wantedPolicy } from '../../src/rules/wanted.ts';
import { wantedChains } from '../../src/rules/wantedChains.ts';

/** One family's filter table as `iptables -S` would print it, and all sets as `ipset save` would. */
export interface RulesetText {
  readonly rules: string;
  readonly sets: string;
}

export interface RulesetOptions {
  readonly nodeName: string;
  /** Whether pods are ports of a bridge (the default) or routed each by an interface of its own. */
  readonly bridged?: boolean;
  readonly generation?: number;
}

/** Returns the node's end of a pod's interface in these rulesets. */
export function hostInterfaceOf(cluster: Cluster, pod: Pod): string {
  return `veth${[...cluster.pods.keys()].indexOf(objectKey(pod))}`;
}

/** Returns what the agent would put into the kernel of a node where every pod with an address is attached. */
export function rulesetText(
  cluster: Cluster,
  { nodeName, bridged = true, generation = 1 }: RulesetOptions,
): Readonly<Record<IpFamily, RulesetText>> {
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
  const sets = planIpsets(new Map(), policy.sets).fill.join('\n');
  const textOf = (family: IpFamily): RulesetText => {
    const plan = planChains(NOTHING_IN_KERNEL, wantedChains(pods, { family, profiles: policy.profiles }), family);
    const { after } = withGeneration(plan, { family, mark: generationMark(generation, DEFAULT_MARK_MASK) });
    return { rules: tableText(after.chains), sets };
  };
  return { ipv4: textOf('ipv4'), ipv6: textOf('ipv6') };
}

function tableText(chains: ReadonlyMap<string, readonly string[]>): string {
  return [
    '-P FORWARD ACCEPT',
    '-P OUTPUT ACCEPT',
    ...[...chains.keys()].map((name) => `-N ${name}`),
    '-A FORWARD -j KUBE-NWPLCY-CHAIN',
    '-A OUTPUT -m addrtype ! --src-type LOCAL -j KUBE-NWPLCY-CHAIN',
    ...[...chains].flatMap(([name, rules]) => rules.map((rule) => `-A ${name} ${rule}`)),
  ].join('\n');
}
