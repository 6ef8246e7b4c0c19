import { mkdirSync, symlinkSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { AgentStatus } from '../../src/rendezvous/agentSocket.ts';
import { startLab, type Lab } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';
import { output } from '../lab/run.ts';
import { writeTools } from './tools.ts';

// What "auto" comes to on a node, as its agent tells.

const IPTABLES = /^(?:ip6?tables|ipset|xtables)/;
const NFT = /^nft$/;

describe('the backend that is chosen on a node', () => {
  test.for([
    {
      name: 'with everything installed and nothing in use',
      without: undefined,
      prepare: [],
      chosen: 'iptables-nft (no other is in use)',
    },
    { name: 'without iptables', without: IPTABLES, prepare: [], chosen: 'nftables (iptables is not installed)' },
    { name: 'without nft', without: NFT, prepare: [], chosen: 'iptables-nft (no other is in use)' },
    {
      name: 'with the table of kube-proxy in its nftables mode',
      without: undefined,
      prepare: ['nft add table ip kube-proxy', 'iptables-nft -t mangle -N KUBE-IPTABLES-HINT'],
      chosen: 'nftables (kube-proxy uses it)',
    },
    {
      name: 'with the kubelet’s hint',
      without: undefined,
      prepare: ['iptables-legacy -t mangle -N KUBE-IPTABLES-HINT'],
      chosen: 'iptables-legacy (the kubelet or kube-proxy uses it)',
    },
  ])('$name', async ({ without, prepare, chosen }) => {
    using lab = await startedLab(without);
    const node = lab.node(1);
    for (const command of prepare) await output(node.run, command.split(' '));
    await node.startAgent();
    expect(await backendOf(node)).toBe(chosen);
    const pod = await node.addPod({ namespace: 'shop', name: 'server' });
    await pod.delete();
  });

  test('an agent that chose by the programs of its image follows the node, at the second ADD at the latest', async () => {
    using lab = await startedLab(IPTABLES);
    const node = lab.node(1);
    const agent = await node.startAgent([], { tools: imageTools(lab) });
    expect(await backendOf(node)).toBe('iptables-nft (only iptables-nft is installed)');
    await expect(node.addPod({ namespace: 'shop', name: 'first' })).rejects.toMatchObject({ code: 11 });
    await expect.poll(async () => backendOf(node), { timeout: 10_000 }).toBe('nftables (chosen earlier on this node)');
    const pod = await node.addPod({ namespace: 'shop', name: 'second' });
    await lab.sync();
    expect((await status(node)).pods).toMatchObject({ attached: 1, quarantined: [] });
    expect(agent.log()).toContain('Changes the backend');
    await pod.delete();
  });

  test('an nft that is too old is no choice, and by name it is refused with both versions', async () => {
    using lab = await startedLab(IPTABLES);
    const node = lab.node(1);
    const tools = writeTools(lab.directory, { nft: 'echo "nftables v0.9.8 (E.D.S.)"' });
    const agent = node.launchAgent(['--backend', 'nftables'], { tools });
    await expect.poll(() => agent.isRunning, { timeout: 10_000 }).toBe(false);
    expect(agent.log()).toContain('nft is 0.9.8, and 1.0.1 or newer is needed');
    const other = node.launchAgent([], { tools });
    await expect.poll(() => other.isRunning, { timeout: 10_000 }).toBe(false);
    expect(other.log()).toContain('has neither nft nor iptables-restore');
  });
});

async function startedLab(withoutPrograms: RegExp | undefined): Promise<Lab> {
  return startLab({
    product: { conflist: { backend: 'auto' }, ...(withoutPrograms !== undefined && { withoutPrograms }) },
  });
}

/** Returns a directory with the programs that an agent's image has. */
function imageTools(lab: Lab): string {
  const tools = `${lab.directory}/image`;
  mkdirSync(tools);
  for (const name of ['iptables-nft', 'ip6tables-nft'])
    for (const program of [name, `${name}-restore`, `${name}-save`])
      symlinkSync(`/usr/sbin/${program}`, `${tools}/${program}`);
  symlinkSync('/usr/sbin/ipset', `${tools}/ipset`);
  return tools;
}

async function backendOf(node: LabNode): Promise<string> {
  const { backend } = await status(node);
  return `${backend.name} (${backend.reason})`;
}

async function status(node: LabNode): Promise<AgentStatus> {
  return JSON.parse((await node.product(['status', '--output', 'json'])).stdout) as AgentStatus;
}
