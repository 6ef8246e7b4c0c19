import { existsSync } from 'node:fs';
import { env } from 'node:process';
import { askAgent } from '../../src/cli/agentClient.ts';
import type { LabNode } from '../../test/lab/node.ts';
import { EXECUTABLE, type DemoCluster } from './cluster.ts';

/** Returns how to look around in a cluster that stays up, as lines of text. */
export async function keptText({ lab, pods }: DemoCluster): Promise<readonly string[]> {
  const [node] = lab.nodes;
  const client = pods.find(({ key }) => key === 'alice/client');
  const web = pods.find(({ key }) => key === 'default/web');
  if (node === undefined || client === undefined || web === undefined) return [];
  const onNode = `nsenter -t ${node.pid} -m -n`;
  const { directory } = lab.manifests;
  const [hooks, rules] = listings(await backendOf(node));
  return [
    'Commands for root on this machine. A shell in the network of a pod:',
    '',
    ...pods.map(({ key, addresses, probe }) => `  nsenter -t ${probe.pid} -n  # ${key}, ${addresses.join(', ')}`),
    '',
    'alice/client calls default/web; the policy lets it in; it is taken away again:',
    `  ${call(client.probe.pid, web.addresses[0] ?? '')}`,
    `  cp examples/selectors-and.yaml ${directory}/`,
    `  rm ${directory}/selectors-and.yaml`,
    '',
    `How ${node.name} stands, whom it has hooked, and all of its rules:`,
    `  ${onNode} ${EXECUTABLE} status`,
    `  ${onNode} ${hooks}`,
    `  ${onNode} ${rules}`,
    '',
    'Take it all down:',
    '  make demo DOWN=1',
  ];
}

/** Returns the commands that show whom a backend has hooked, and all of its rules. */
function listings(backend: string): readonly [hooks: string, rules: string] {
  // The other backends are called like the command.
  return backend === 'nftables'
    ? ['nft list map inet kube-nwplcy ingress4', 'nft list table inet kube-nwplcy']
    : [`${backend} -S NWPLCY-INGRESS`, `${backend} -S`];
}

async function backendOf(node: LabNode): Promise<string> {
  const reply = await askAgent({ ask: 'status' }, { runtimeDir: node.inside(node.runtimeDir), timeoutMs: 10_000 });
  if (reply.kind !== 'status') throw new Error(`Cannot ask the agent of ${node.name} for its status`);
  return reply.status.backend.name;
}

/** Returns a command by which a pod calls an address. */
function call(pid: number, address: string): string {
  const hasCurl = (env['PATH'] ?? '').split(':').some((directory) => existsSync(`${directory}/curl`));
  return hasCurl
    ? `nsenter -t ${pid} -n curl -m 2 ${address}`
    : `nsenter -t ${pid} -n bash -c 'exec 3<>/dev/tcp/${address}/80; echo ask hello >&3; cat <&3'`;
}
