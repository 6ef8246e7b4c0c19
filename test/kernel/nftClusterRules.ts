import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { familyOf, type IpFamily } from '../../src/net/family.ts';
import { podCidr } from '../lab/addressing.ts';
import type { LabNode } from '../lab/node.ts';
import { output } from '../lab/run.ts';

/**
 * Puts the rules in place that kube-proxy was recorded to leave in its nftables mode on the node of this number (./recorded), and flannel's in its
 * own (flannel-io/flannel, `pkg/trafficmngr/nftables`). The recorded endpoints are the pods that were added first on their node.
 */
export async function writeNftClusterRules({ number, addresses, run }: LabNode): Promise<void> {
  const kubeProxy = readFileSync(join(import.meta.dirname, `recorded/node-${number}.kube-proxy.nft`), 'utf8');
  const flannel = addresses.map(familyOf).map((family) => flannelTable(family, podCidr(number, family)));
  const tables = [...flannel, kubeProxy].join('\n');
  // What is there already goes in the same transaction.
  const names = [...tables.matchAll(/^table (.*) \{/gm)].map(([, name]) => `table ${name} {}\ndelete table ${name}\n`);
  await output(run, ['nft', '-f', '-'], { input: names.join('') + tables });
}

const NETWORKS = { ipv4: '10.244.0.0/16', ipv6: 'fd00:244::/48' } as const satisfies Record<IpFamily, string>;
const MULTICAST = { ipv4: '224.0.0.0/4', ipv6: 'ff00::/8' } as const satisfies Record<IpFamily, string>;

function flannelTable(family: IpFamily, pods: string): string {
  const ip = family === 'ipv4' ? 'ip' : 'ip6';
  const all = NETWORKS[family];
  return `table ${ip} flannel-${family} {
  chain forward {
    type filter hook forward priority filter; policy accept;
    ${ip} saddr ${all} accept
    ${ip} daddr ${all} accept
  }
  chain postrtg {
    type nat hook postrouting priority srcnat; policy accept;
    meta mark 0x4000 return
    ${ip} saddr ${pods} ${ip} daddr ${all} return
    ${ip} saddr ${all} ${ip} daddr ${pods} return
    ${ip} saddr != ${pods} ${ip} daddr ${all} return
    ${ip} saddr ${all} ${ip} daddr != ${MULTICAST[family]} masquerade fully-random
    ${ip} saddr != ${all} ${ip} daddr ${all} masquerade fully-random
  }
}
`;
}
