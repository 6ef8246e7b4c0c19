import { copyFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { env } from 'node:process';
import { afterAll, expect, test } from 'vitest';
import type { Backend } from '../../src/dataplane/backend.ts';
import { startLab, type Lab } from '../lab/lab.ts';
import { policy } from './cluster.ts';
import { output } from '../lab/run.ts';
import { settledSnapshot } from './settled.ts';
import { ALLOWED_PORT, FORBIDDEN_PORT, Traffic } from './traffic.ts';

// Another version of the product, if its executable is named, or else the same once more: what is replaced while it runs is the same.
const CURRENT = env['KUBE_NWPLCY'] ?? resolve(import.meta.dirname, '../../dist/kube-nwplcy');
const OTHER = env['KUBE_NWPLCY_OTHER'] ?? CURRENT;

const directory = mkdtempSync(join(tmpdir(), 'upgrade-'));
afterAll(() => rmSync(directory, { recursive: true }));

const SERVER = policy('shop/server', {
  podSelector: {},
  policyTypes: ['Ingress', 'Egress'],
  ingress: [
    {
      from: [{ namespaceSelector: {}, podSelector: { matchLabels: { role: 'client' } } }],
      ports: [
        { protocol: 'TCP', port: ALLOWED_PORT },
        { protocol: 'UDP', port: ALLOWED_PORT },
      ],
    },
  ],
});

interface Life {
  readonly executable: string;
  readonly backend: Backend;
}

const IPTABLES = { executable: CURRENT, backend: 'iptables-nft' } as const;
const LEGACY = { executable: CURRENT, backend: 'iptables-legacy' } as const;
const NFTABLES = { executable: CURRENT, backend: 'nftables' } as const;

test.for<{ readonly name: string; readonly from: Life; readonly to: Life }>([
  { name: 'to this version', from: { ...IPTABLES, executable: OTHER }, to: IPTABLES },
  { name: 'back to the other version', from: IPTABLES, to: { ...IPTABLES, executable: OTHER } },
  { name: 'from iptables-nft to nftables', from: IPTABLES, to: NFTABLES },
  { name: 'from nftables to iptables-nft', from: NFTABLES, to: IPTABLES },
  { name: 'from iptables-legacy to nftables', from: LEGACY, to: NFTABLES },
  { name: 'from nftables to iptables-legacy', from: NFTABLES, to: LEGACY },
  ...(OTHER === CURRENT
    ? []
    : [{ name: 'to this version and nftables', from: { ...IPTABLES, executable: OTHER }, to: NFTABLES }]),
])('a change $name opens nothing and breaks nothing, and pods come and go meanwhile', async ({ from, to }) => {
  const executable = join(directory, 'kube-nwplcy');
  using lab = await startLab({
    listen: [ALLOWED_PORT, FORBIDDEN_PORT],
    product: { executable, conflist: { backend: 'auto' } },
  });
  const node = lab.node(1);
  // A table of the legacy world stays for ever once somebody has looked at it.
  for (const program of ['iptables-legacy', 'ip6tables-legacy']) await output(node.run, [program, '-S']);
  put(to.executable, executable);
  await (await node.startAgent(['--backend', to.backend])).stop();
  const before = await settledSnapshot(node);
  put(from.executable, executable);
  const first = await node.startAgent(['--backend', from.backend]);
  lab.manifests.apply(SERVER);
  await lab.sync();
  const client = await node.addPod({ namespace: 'clients', name: 'client', labels: { role: 'client' } });
  const server = await node.addPod({ namespace: 'shop', name: 'server' });
  const old = await node.addPod({ namespace: 'shop', name: 'old' });
  const traffic = await Traffic.start(client, server);

  let isOver = false;
  const churn = comeAndGo(lab, () => isOver);
  put(to.executable, executable);
  await first.stop();
  await node.startAgent(['--backend', to.backend]);
  await lab.sync();
  isOver = true;
  const outcomes = await churn;
  expect(outcomes.length).toBeGreaterThan(0);
  expect(new Set(outcomes)).toEqual(new Set(['refused']));
  expect(await traffic.wrongs()).toEqual([]);

  // What one version has hooked in, the other takes out; what a pod has left that went just then, a thorough look finds.
  for (const pod of [client, server, old]) await pod.delete();
  lab.manifests.delete(SERVER);
  await lab.sync();
  await expect.poll(async () => settledSnapshot(node), { timeout: 30_000 }).toEqual(before);
});

/** Puts an executable in another's place in one step, as an installer does: a running one keeps its file. */
function put(executable: string, path: string): void {
  copyFileSync(executable, `${path}.new`);
  renameSync(`${path}.new`, path);
}

/** Adds and deletes pods that nobody but clients may talk to until it is over, and returns what a stranger met at each of them. */
async function comeAndGo(lab: Lab, isOver: () => boolean): Promise<readonly string[]> {
  const node = lab.node(1);
  const stranger = await node.addPod({ namespace: 'clients', name: 'stranger' });
  const outcomes: string[] = [];
  for (let round = 1; round <= 3 || !isOver(); round += 1) {
    const pod = await node.addPod({ namespace: 'shop', name: `guest-${round}` });
    const targets = pod.addresses.map((address) => ({ address, port: ALLOWED_PORT, protocol: 'TCP' }) as const);
    outcomes.push(...(await stranger.probe.dial(targets)).map(({ outcome }) => outcome));
    await pod.delete();
  }
  await stranger.delete();
  return outcomes;
}
