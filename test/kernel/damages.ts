import type { LabNode } from '../lab/node.ts';
import { output } from '../lab/run.ts';
import { programsOf } from './breaking.ts';
import type { Damage } from './damage.ts';
import { NFT_DAMAGES } from './nftDamages.ts';
import type { Place } from './places.ts';

/** Returns what is tried at a place. */
export function damagesAt({ backend }: Place): readonly Damage[] {
  if (backend === 'nftables') return NFT_DAMAGES;
  const damages = backend === 'iptables-nft' ? [...DAMAGES, ...MORE_DAMAGES] : DAMAGES;
  return damages.map(({ script, ...damage }) => ({
    ...damage,
    script: () => `for t in ${programsOf(backend).join(' ')}; do ${script}; done`,
  }));
}

/** Damage by iptables; in the script `$t` is the backend's program of each family in turn. */
type IptablesDamage = Omit<Damage, 'script'> & { readonly script: string };

/** What is tried with both worlds of iptables. */
const DAMAGES: readonly IptablesDamage[] = [
  { name: 'FORWARD is flushed', script: '$t -F FORWARD', opens: true },
  { name: 'a rule is put before our jump', script: '$t -I FORWARD -p tcp -j ACCEPT', opens: true },
  { name: 'all rules are flushed', script: '$t -F', opens: true },
  { name: 'all rules are flushed and all chains deleted', script: '$t -F; $t -X', opens: true },
];

/** What does not depend on the world. */
const MORE_DAMAGES: readonly IptablesDamage[] = [
  { name: 'our jump is deleted', script: '$t -D FORWARD -j KUBE-NWPLCY-CHAIN', opens: true },
  { name: 'our jump is there twice', script: '$t -A FORWARD -j KUBE-NWPLCY-CHAIN', opens: false },
  { name: 'OUTPUT is flushed', script: '$t -F OUTPUT', opens: false },
  { name: 'a rule is put into a chain of ours', script: '$t -I NWPLCY-REJECT -j RETURN', opens: true },
  { name: 'a rule of a chain of ours is replaced', script: '$t -R NWPLCY-REJECT 2 -j RETURN', opens: true },
  { name: 'our sets are flushed', script: 'ipset flush', opens: false },
  {
    name: 'a set loses a member that excepts',
    script: "ipset save | sed -n 's/^add\\(.*\\) nomatch$/del\\1/p' | ipset restore -exist",
    opens: true,
  },
  {
    name: 'a set gains a member',
    script:
      "ipset save | sed -n 's|10.244.0.0/16 nomatch|10.244.1.0/24|p; s|fd00:244::/32 nomatch|fd00:244:0:1::/64|p' | ipset restore -exist",
    opens: true,
  },
];

/**
 * Puts rules of somebody else in place, before ours and after. One that asks for conntrack stays whatever is flushed: without any, conntrack
 * rests, and takes up a flow that it meets half-way by whoever speaks first.
 */
export async function putCanaries({ run }: LabNode, { backend }: Place): Promise<void> {
  const programs = programsOf(backend === 'nftables' ? 'iptables-legacy' : backend);
  for (const program of programs) await output(run, ['sh', '-c', canaries(program)]);
  await output(run, ['nft', '-f', '-'], { input: FOREIGN_TABLE });
}

const FOREIGN_TABLE = `table inet somebody {
  set theirs { type ipv4_addr; elements = { 192.0.2.1, 192.0.2.2 } }
  chain forward { type filter hook forward priority -10; policy accept; ip saddr @theirs counter drop comment "theirs"; ct state invalid drop; }
}
`;

/** Rules of somebody else, in their chain and in FORWARD before and after ours. */
function canaries(program: string): string {
  const address = program.startsWith('ip6') ? '2001:db8::1' : '192.0.2.1';
  return `set -e; ${program} -N SOMEBODY; ${program} -A SOMEBODY -s ${address} -m comment --comment 'their "rule"' -j DROP
    ${program} -A SOMEBODY -m conntrack --ctstate INVALID -j DROP
    ${program} -I FORWARD -j SOMEBODY; ${program} -A FORWARD -d ${address} -j DROP; ${program} -A INPUT -j SOMEBODY`;
}
