import { setTimeout as sleep } from 'node:timers/promises';
import type { LabNode } from '../../test/lab/node.ts';
import type { LabPod } from '../../test/lab/pod.ts';
import type { Arrival, Attempt, Target } from '../../test/lab/probe.ts';
import { output } from '../../test/lab/run.ts';

const ADDRESS = '10.244.1.77';
const MAC = '0a:58:0a:f4:01:4d';
const TARGETS: readonly Target[] = [
  { address: ADDRESS, port: 80, protocol: 'TCP' },
  { address: ADDRESS, port: 53, protocol: 'UDP' },
];
const UDP_SOURCE_PORT = 40_000;

/** The times (`monotonicMs`) that divide the hammering: ADD begins, ADD has returned, the allowing policy is written. */
export interface Boundaries {
  readonly add: number;
  readonly added: number;
  readonly allowed: number;
}

/** Of one protocol, how much there was in each part of the time. */
export interface HammerCounts {
  readonly protocol: Target['protocol'];
  readonly tried: PartCounts;
  /** What the pod's listener saw. */
  readonly gotThrough: PartCounts;
  /** When the first one got through; `undefined` if none did. */
  readonly firstAt: number | undefined;
}

export interface PartCounts {
  readonly beforeAdd: number;
  readonly duringAdd: number;
  readonly afterAdd: number;
  readonly onceAllowed: number;
}

export interface HammeredPod {
  readonly address: string;
  readonly boundaries: Boundaries;
  readonly counts: readonly HammerCounts[];
}

/**
 * Adds default/web-2 to the node of `client`, which tries its address every millisecond from before ADD until after `allow`, with a new TCP
 * connection each time and with one UDP flow. `allow` puts the policy in place that lets it in, and returns when.
 */
export async function hammerNewPod(
  { node, client }: { readonly node: LabNode; readonly client: LabPod },
  allow: () => Promise<number>,
): Promise<HammeredPod> {
  const spec = { namespace: 'default', name: 'web-2', labels: { app: 'web' }, addresses: [ADDRESS], mac: MAC };
  const pod = await node.createPod({ ...spec, listens: false });
  // Without it the client's kernel would ask for the link address once a second and send nothing meanwhile.
  const neighbour = [ADDRESS, 'lladdr', MAC, 'dev', 'eth0', 'nud', 'permanent'];
  await output(client.run, ['ip', 'neighbour', 'replace', ...neighbour]);
  const hammers = await Promise.all(
    TARGETS.map((target) =>
      client.probe.hammer(target, target.protocol === 'UDP' ? { sourcePort: UDP_SOURCE_PORT } : { timeoutMs: 300 }),
    ),
  );
  await sleep(300);
  await pod.attach();
  // A runtime starts containers only now.
  await pod.listen();
  await sleep(500);
  const allowed = await allow();
  await sleep(500);
  const attempts = await Promise.all(hammers.map((hammer) => hammer.stop()));
  const boundaries = { add: pod.addTimes.startedAt, added: pod.addTimes.endedAt, allowed };
  const arrivals = await pod.probe.arrivals();
  const counts = TARGETS.map(({ protocol }, index) =>
    countsOf(protocol, { attempts: attempts[index] ?? [], arrivals, boundaries }),
  );
  return { address: ADDRESS, boundaries, counts };
}

function countsOf(
  protocol: Target['protocol'],
  seen: {
    readonly attempts: readonly Attempt[];
    readonly arrivals: readonly Arrival[];
    readonly boundaries: Boundaries;
  },
): HammerCounts {
  const { attempts, arrivals, boundaries } = seen;
  const arrived = arrivals.filter((arrival) => arrival.protocol === protocol).map(({ at }) => at);
  const tried = attempts.map(({ startedAt }) => startedAt);
  return {
    protocol,
    tried: partCounts(tried, boundaries),
    gotThrough: partCounts(arrived, boundaries),
    firstAt: arrived[0],
  };
}

function partCounts(times: readonly number[], { add, added, allowed }: Boundaries): PartCounts {
  const between = (from: number, to: number) => times.filter((at) => at >= from && at < to).length;
  return {
    beforeAdd: between(0, add),
    duringAdd: between(add, added),
    afterAdd: between(added, allowed),
    onceAllowed: between(allowed, Infinity),
  };
}
