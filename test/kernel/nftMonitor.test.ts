import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { kill } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { Daemon } from '../lab/daemon.ts';
import { monotonicMs } from '../lab/probe.ts';
import { output } from '../lab/run.ts';
import { isNftables } from './backend.ts';
import { ownLines } from './breaking.ts';
import { ProductCluster } from './cluster.ts';
import { writeNftClusterRules } from './nftClusterRules.ts';
import { nft } from './nftDamages.ts';
import { writeTools } from './tools.ts';
import { becomes, repairsToldBy } from './watching.ts';

// `nft monitor`, by which the agent hears of what others do to our tables. There is nothing like it with iptables.

describe.skipIf(!isNftables)('the monitor of nft', () => {
  test('that ends is started again, and what happened meanwhile is put right', async () => {
    using cluster = await ProductCluster.start();
    const node = cluster.lab.node(1);
    const intact = await ownLines(node, 'nftables');
    const agent = cluster.agent(1);
    for (const delayMs of [0, 500, 1000, 1500, 3000]) {
      kill(monitorOf(agent), 'SIGKILL');
      await sleep(delayMs);
      await output(node.run, ['nft', 'insert', 'rule', 'inet', 'kube-nwplcy', 'refuse', 'accept']);
      expect(await becomes(async () => isDeepStrictEqual(await ownLines(node, 'nftables'), intact))).toBe(true);
      expect(await becomes(async () => Promise.resolve(monitorOf(agent) > 0))).toBe(true);
    }
  });

  test('may forget a set when a rule is deleted that looks there: changes of the set are put right', async () => {
    using cluster = await ProductCluster.start();
    const node = cluster.lab.node(1);
    await node.addPod({ namespace: 'shop', name: 'web' });
    await cluster.lab.sync();
    const intact = await ownLines(node, 'nftables');
    for (const commands of [
      ['flush chain bridge kube-nwplcy prerouting'],
      ['flush set bridge kube-nwplcy interfaces'],
      ['flush set bridge kube-nwplcy interfaces'],
    ]) {
      await output(node.run, ['sh', '-ec', nft(commands)]);
      expect(await becomes(async () => isDeepStrictEqual(await ownLines(node, 'nftables'), intact))).toBe(true);
    }
  });

  test('tells of what others do to their own tables, and nobody looks at ours', async () => {
    using cluster = await ProductCluster.start();
    const node = cluster.lab.node(1);
    await node.addPod({ namespace: 'shop', name: 'web' });
    await writeNftClusterRules(node);
    await cluster.agent(1).stop();
    const runs = join(cluster.lab.directory, 'runs');
    const nftLogged = `echo "$*" >>${runs}; exec "$real" "$@"`;
    const agent = await cluster.startAgent(1, { tools: writeTools(cluster.lab.directory, { nft: nftLogged }) });
    // A look after the start, and then none.
    await sleep(1500);
    const before = readFileSync(runs, 'utf8');
    const [startedAt, told] = [monotonicMs(), agent.log()];
    await output(node.run, ['sh', '-ec', Array.from({ length: 60 }, (_, number) => churn(number)).join('\n')]);
    await sleep(1500);
    const more = readFileSync(runs, 'utf8').slice(before.length).split('\n').filter(Boolean);
    const looks = more.filter((line) => line.includes('list table'));
    // Those that are thorough, of both tables; and nothing else was run.
    expect(looks.length).toBeLessThanOrEqual(2 * Math.ceil((monotonicMs() - startedAt) / THOROUGH_MS));
    expect(more.filter((line) => !looks.includes(line))).toEqual([]);
    expect(agent.log()).toBe(told);
    // It is still heard of what is done to ours.
    await output(node.run, ['nft', 'insert', 'rule', 'inet', 'kube-nwplcy', 'refuse', 'accept']);
    expect(await becomes(() => Promise.resolve(repairsToldBy(agent) === 1))).toBe(true);
  });
});

/** How often the agent takes a look whatever it heard. */
const THOROUGH_MS = 15_000;

/** Returns the script of a Service's coming, changing and going, a transaction each, as kube-proxy writes it. */
function churn(number: number): string {
  const [address, chain] = [`10.96.1.${number}`, `service-${number}-shop/many/tcp/`];
  const table = 'ip kube-proxy';
  const dnat = `add rule ${table} ${chain} meta l4proto tcp dnat ip to numgen random mod`;
  return [
    [
      `add chain ${table} ${chain}`,
      `${dnat} 2 map { 0 : 10.244.1.2 . 80, 1 : 10.244.2.2 . 80 }`,
      `add element ${table} cluster-ips { ${address} }`,
      `add element ${table} service-ips { ${address} . tcp . 80 : goto ${chain} }`,
    ],
    [`flush chain ${table} ${chain}`, `${dnat} 1 map { 0 : 10.244.1.2 . 80 }`],
    [
      `delete element ${table} service-ips { ${address} . tcp . 80 }`,
      `delete element ${table} cluster-ips { ${address} }`,
      `flush chain ${table} ${chain}`,
      `delete chain ${table} ${chain}`,
    ],
  ]
    .map(nft)
    .join('\n');
}

/** Returns the process id of an agent's monitor, or 0. */
function monitorOf({ pid }: Daemon): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return Number(children.find((child) => commandOf(child).includes('nft\0monitor\0')) ?? 0);
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // ended meanwhile
  }
}
