import { existsSync } from 'node:fs';
import { env, getuid } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import packageJson from '../package.json' with { type: 'json' };
import { removeKeptLabs } from '../test/lab/leftovers.ts';
import { clusterText, EXECUTABLE, startCluster, type DemoCluster } from './demo/cluster.ts';
import { keptText } from './demo/kept.ts';
import { showNewPod } from './demo/newPodChapters.ts';
import { paintForStdout } from './demo/paint.ts';
import { showPolicies } from './demo/policyChapters.ts';
import { Story } from './demo/story.ts';

// node scripts/demo.ts: shows the product at work on this machine and leaves nothing behind. KEEP=1 leaves the cluster up, DOWN=1 takes such a
// cluster down. BACKEND=nftables (or iptables-nft, iptables-legacy) says how the agents write. Exit 1 if anything was not as it should be.

const hadBridgeNetfilter = existsSync('/proc/sys/net/bridge');

process.exit(env['DOWN'] ? takeDown() : await run());

function takeDown(): number {
  const removed = removeKeptLabs();
  process.stdout.write(
    removed.length === 0 ? 'No cluster was up.\n' : 'The cluster is gone; the machine is as it was.\n',
  );
  return 0;
}

async function run(): Promise<number> {
  // A reader that has seen enough (`make demo | head`).
  process.stdout.on('error', () => process.exit(1));
  try {
    checkPrerequisites();
    return await demonstrate();
  } catch (error) {
    // A Ctrl-C reaches our child processes too, and what they died of may be known here before the signal is.
    await sleep(100);
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

function checkPrerequisites(): void {
  if (getuid?.() !== 0) throw new Error('Cannot show anything: network namespaces need root, run "sudo make demo"');
  if (!existsSync(EXECUTABLE)) throw new Error(`Cannot show anything: there is no "${EXECUTABLE}", run "make build"`);
}

/** Tells the whole story and returns the exit code. */
async function demonstrate(): Promise<number> {
  const story = new Story(paintForStdout);
  story.heading(`kube-nwplcy ${packageJson.version}: Kubernetes NetworkPolicy for networks that have none`);
  story.lines('Real plugins, packets and rules, all of it in network namespaces: this machine keeps its own.');
  const cluster = await introduceCluster(story);
  const { flows, faults: ofPolicies } = await showPolicies(cluster, story);
  const faults = [...ofPolicies, ...(await showNewPod(cluster, story))];
  story.heading(faults.length === 0 ? 'Everything was as it should be' : 'Not everything was as it should be');
  story.lines(...(faults.length === 0 ? [verifiedText(flows)] : faults));
  await end(cluster, story);
  return faults.length === 0 ? 0 : 1;
}

async function introduceCluster(story: Story): Promise<DemoCluster> {
  story.step(
    'The cluster',
    'Two nodes joined by a link, each with an agent; in their conflist "kube-nwplcy" follows "bridge".',
  );
  const startedAt = performance.now();
  const cluster = await startCluster();
  // Before the lab's own handler, which ends this process.
  process.prependOnceListener('SIGINT', () => process.stdout.write('\nInterrupted: the cluster is taken down.\n'));
  story.lines('', ...clusterText(cluster), '');
  story.aside(`Up in ${((performance.now() - startedAt) / 1000).toFixed(1)} s.`);
  return cluster;
}

function verifiedText(flows: number): string {
  return `Each of ${flows} flows was compared with src/policy/evaluate.ts, which shares no code with the rules.`;
}

async function end(cluster: DemoCluster, story: Story): Promise<void> {
  if (env['KEEP']) {
    story.heading('The cluster stays up');
    story.lines(...(await keptText(cluster)), '');
    await cluster.lab.keep();
    return;
  }
  cluster.lab.stop();
  const module = hadBridgeNetfilter ? '' : ', except that the kernel module br_netfilter is loaded';
  story.lines(`The cluster is gone; the machine is as it was${module}.`);
  story.heading('How to go on');
  story.lines(
    'make demo KEEP=1   the same, and the cluster stays up, with commands to look around in it',
    'make test          every example in every kind of network; races, restarts, hostile input',
    'examples/          the policies seen here and more, each with the verdicts it must give',
    'README.md          a real node: one more entry in its conflist, and the agent',
    '',
  );
}
