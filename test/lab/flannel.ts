import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Backend } from '../../src/dataplane/backend.ts';
import { familyOf, type IpFamily } from '../../src/net/family.ts';
import { nodeAddress, podCidr } from './addressing.ts';
import type { LabNode } from './node.ts';
import { output, type Run } from './run.ts';

/**
 * Joins the nodes' pods by flannel's vxlan instead of the routes of host-gw that a lab starts with. The devices, neighbours and routes are made by
 * iproute2, the same as flanneld 0.28.4 was seen to leave (flannel-io/flannel, `pkg/backend/vxlan`).
 */
export async function joinByVxlan(nodes: readonly LabNode[]): Promise<void> {
  for (const { number, addresses, run } of nodes) {
    const others = nodes.filter((other) => other.number !== number).map((other) => other.number);
    for (const family of addresses.map(familyOf)) await joinNode(run, { number, others, family });
  }
}

/** Returns the address with which a node reaches pods of other nodes over vxlan. It is in the network of the node's own pods. */
export function vtepAddress(number: number, family: IpFamily): string {
  return podCidr(number, family).replace(/\/\d+$/, '');
}

const DEVICES = { ipv4: 'flannel.1', ipv6: 'flannel-v6.1' } as const satisfies Record<IpFamily, string>;
const MTUS = { ipv4: 1450, ipv6: 1430 } as const satisfies Record<IpFamily, number>;

interface VxlanNode {
  readonly number: number;
  readonly others: readonly number[];
  readonly family: IpFamily;
}

async function joinNode(run: Run, { number, others, family }: VxlanNode): Promise<void> {
  const device = DEVICES[family];
  const prefix = family === 'ipv4' ? 32 : 128;
  const vxlan = `vxlan id 1 local ${nodeAddress(number, family)} dev eth0 dstport 8472 nolearning`;
  await batch(run, 'ip', [
    `link add ${device} address ${linkAddress(number, family)} mtu ${MTUS[family]} type ${vxlan}`,
    `address add ${vtepAddress(number, family)}/${prefix} dev ${device}`,
    `link set ${device} up`,
    ...others.flatMap((other) => [
      `route delete ${podCidr(other, family)}`,
      `neighbour add ${vtepAddress(other, family)} lladdr ${linkAddress(other, family)} dev ${device} nud permanent`,
      `route add ${podCidr(other, family)} via ${vtepAddress(other, family)} dev ${device} onlink`,
    ]),
  ]);
  const forwards = others.map(
    (other) => `${linkAddress(other, family)} dev ${device} dst ${nodeAddress(other, family)}`,
  );
  await batch(
    run,
    'bridge',
    forwards.map((forward) => `fdb add ${forward} self permanent`),
  );
}

function linkAddress(number: number, family: IpFamily): string {
  return `02:00:00:00:0${family === 'ipv4' ? 4 : 6}:0${number}`;
}

async function batch(run: Run, program: 'ip' | 'bridge', lines: readonly string[]): Promise<void> {
  await output(run, [program, '-batch', '-'], { input: lines.map((line) => `${line}\n`).join('') });
}

/**
 * Puts the rules in place that flanneld and kube-proxy were recorded to leave on the node of this number (test/lab/recorded), those of FORWARD
 * before what is there: kube-proxy inserts them. The recorded endpoints are the pods that were added first on their node. FORWARD's policy
 * is DROP then, as docker sets it: what flannel does not accept does not pass.
 */
export async function writeClusterRules({ number, addresses, run }: LabNode, backend: Backend): Promise<void> {
  for (const family of addresses.map(familyOf)) {
    const tool = family === 'ipv4' ? 'iptables' : 'ip6tables';
    const command = backend.replace('iptables', tool);
    let rules = 0;
    const input = readFileSync(join(import.meta.dirname, `recorded/node-${number}.${tool}`), 'utf8').replaceAll(
      /^-A FORWARD /gm,
      () => `-I FORWARD ${++rules} `,
    );
    await output(run, [`${command}-restore`, '--noflush', '--wait', '5'], { input });
    await output(run, [command, '--wait', '5', '-P', 'FORWARD', 'DROP']);
  }
}
