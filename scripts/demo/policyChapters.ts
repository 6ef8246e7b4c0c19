import { PORTS, type DemoCluster } from './cluster.ts';
import { changePolicies, type PolicyChange } from './policies.ts';
import { measureReachability } from './reachability.ts';
import type { Story } from './story.ts';

interface Chapter {
  readonly title: string;
  readonly explanation: string;
  readonly change?: PolicyChange;
}

const CHAPTERS: readonly Chapter[] = [
  { title: 'No policy', explanation: 'Everybody reaches everybody.' },
  {
    title: 'examples/default-deny-ingress.yaml is added',
    explanation: 'Nobody reaches the pods of "default" any more; what they begin towards others still passes.',
    change: { put: ['default-deny-ingress.yaml'] },
  },
  {
    title: 'examples/test-network-policy.yaml is added',
    explanation: 'db: TCP 6379 from frontend, project=myproject, 172.17.0.0/16 less 172.17.1.0/24; it calls nobody.',
    change: { put: ['test-network-policy.yaml'] },
  },
  {
    title: 'examples/selectors-or.yaml is added',
    explanation: 'web opens to the namespaces with user=alice OR to role=client in its own: two items of a list.',
    change: { put: ['selectors-or.yaml'] },
  },
  {
    title: 'examples/selectors-and.yaml takes its place',
    explanation: 'One dash less makes one item of the two: user=alice on the namespace AND role=client on the pod.',
    change: { put: ['selectors-and.yaml'], remove: ['selectors-or.yaml'] },
  },
  {
    title: 'examples/dns-egress-only.yaml is added',
    explanation: 'The pods of "default" may call DNS only. Both ends must allow a flow: frontend has lost db again.',
    change: { put: ['dns-egress-only.yaml'] },
  },
];

export interface Findings {
  /** How many flows were tried. */
  readonly flows: number;
  /** What was not as it should be, a line each. */
  readonly faults: readonly string[];
}

/** Puts one policy after the other in force and shows each time who reaches whom. */
export async function showPolicies(cluster: DemoCluster, story: Story): Promise<Findings> {
  let flows = 0;
  const faults: string[] = [];
  for (const { title, explanation, change } of CHAPTERS) {
    story.step(title, explanation);
    const time = change === undefined ? '' : await timeOf(cluster, change);
    const measured = await measureReachability(cluster);
    story.matrix(measured.reachability, marksText(cluster));
    story.aside(`${time}${checkedText(measured)}`);
    flows += measured.flows;
    faults.push(...measured.differences.map((difference) => `${title}: ${difference}`));
  }
  return { flows, faults };
}

function marksText({ families }: DemoCluster): string {
  const names = families.map((family) => (family === 'ipv4' ? 'IPv4' : 'IPv6'));
  return `${PORTS.map(({ protocol, port }) => `${protocol} ${port}`).join(', ')}, over ${names.join(' and ')}`;
}

async function timeOf({ lab }: DemoCluster, change: PolicyChange): Promise<string> {
  const { milliseconds } = await changePolicies(lab, change);
  return `In both kernels ${milliseconds.toFixed(0)} ms after the file was written. `;
}

function checkedText({ flows, differences }: { readonly flows: number; readonly differences: readonly string[] }) {
  const judgement = differences.length === 0 ? 'all as the API says' : `${differences.length} NOT as the API says (!)`;
  return `${flows} flows tried, ${judgement}.`;
}
