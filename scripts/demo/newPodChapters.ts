import type { LabPod } from '../../test/lab/pod.ts';
import type { DemoCluster } from './cluster.ts';
import { cutConnection } from './liveConnection.ts';
import { hammerNewPod, type HammeredPod } from './newPod.ts';
import { gotThroughTooEarly, newPodText, weaknesses } from './newPodText.ts';
import { changePolicies } from './policies.ts';
import type { Story } from './story.ts';

const ALLOWING = 'selectors-and.yaml';

/** Hammers a pod that is being added, lets the client in at last and cuts its connection; returns what was not as it should be. */
export async function showNewPod(cluster: DemoCluster, story: Story): Promise<readonly string[]> {
  const client = cluster.pods.find(({ key }) => key === 'alice/client');
  if (client === undefined) throw new Error('Cannot hammer a new pod: the cluster has no pod "alice/client"');
  const { address, faults } = await showHammering(cluster, { client, story });
  // A pod that is not what it should be is no place for a connection.
  return faults.length > 0 ? faults : showCut(cluster, { client, address, story });
}

async function showHammering(
  { lab }: DemoCluster,
  { client, story }: { readonly client: LabPod; readonly story: Story },
): Promise<{ readonly address: string; readonly faults: readonly string[] }> {
  story.step(
    'A new pod under default-deny',
    'alice/client calls an address every ms; ADD gives it to default/web-2, which listens from then.',
  );
  story.aside(`default-deny-ingress.yaml alone is in force; half a second after ADD, ${ALLOWING} is too.`);
  await changePolicies(lab, { remove: ['test-network-policy.yaml', ALLOWING, 'dns-egress-only.yaml'] });
  const hammered = await hammerNewPod(
    { node: lab.node(1), client },
    async () => (await changePolicies(lab, { put: [ALLOWING] })).at,
  );
  const early = gotThroughTooEarly(hammered.counts);
  const result = story.paint(['bold', early === 0 ? 'green' : 'red'], `connections that got through: ${early}`);
  story.lines('', ...newPodText(hammered), '', result);
  story.aside(timesText(hammered));
  const tooEarly = early === 0 ? [] : [`The new pod was reached ${early} times before it was allowed`];
  return { address: hammered.address, faults: [...tooEarly, ...weaknesses(hammered.counts)] };
}

function timesText({ counts, boundaries: { add, added, allowed } }: HammeredPod): string {
  const first = Math.min(...counts.flatMap(({ firstAt }) => firstAt ?? []));
  const opened = Number.isFinite(first)
    ? ` The first one passed ${(first - allowed).toFixed(0)} ms after ${ALLOWING} was written.`
    : '';
  return `ADD took ${(added - add).toFixed(0)} ms.${opened}`;
}

async function showCut(
  { lab }: DemoCluster,
  { client, address, story }: { readonly client: LabPod; readonly address: string; readonly story: Story },
): Promise<readonly string[]> {
  story.step(
    `A live connection when ${ALLOWING} is deleted`,
    'alice/client holds a TCP connection to default/web-2 open, with an echo every 5 ms.',
  );
  const { how, milliseconds, echoed } = await cutConnection(
    { client, address },
    async () => (await changePolicies(lab, { remove: [ALLOWING] })).at,
  );
  const end = how === 'reset' ? `cut by a reset after ${milliseconds.toFixed(0)} ms` : (how ?? 'still alive');
  story.lines('', `${echoed} echoes, then ${story.paint(['bold', how === 'reset' ? 'green' : 'red'], end)}`);
  return how === 'reset' ? [] : [`The live connection was not cut by a reset: ${end}`];
}
