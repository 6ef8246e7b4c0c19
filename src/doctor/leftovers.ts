import { BACKENDS } from '../dataplane/backend.ts';
import type { AnyChain } from '../dataplane/allChains.ts';
import { printable } from '../net/quote.ts';
import { ENTRY_CHAIN } from '../rules/names.ts';
import type { ExaminedNode } from './examined.ts';
import { Findings, type Finding } from './finding.ts';

const findings = new Findings('engines');

interface Engine {
  readonly name: string;
  readonly isOf: (chain: AnyChain) => boolean;
  readonly mend: string;
}

const REBOOT =
  'if it is no more, reboot the node, or remove its rules as its own documentation says; if it is, run one of both';

const ENGINES: readonly Engine[] = [
  {
    name: 'kube-router (or the one inside k3s)',
    isOf: ({ name }) => /^KUBE-(?:POD-FW|ROUTER|NWPLCY)-/.test(name) && name !== ENTRY_CHAIN,
    mend: 'k3s: "disable-network-policy: true", then iptables-save | grep -v KUBE-ROUTER | iptables-restore (docs/k3s.md)',
  },
  { name: 'Calico', isOf: ({ name }) => name.startsWith('cali-'), mend: REBOOT },
  { name: 'Cilium', isOf: ({ name }) => /^(?:OLD_)?CILIUM_/.test(name), mend: REBOOT },
  { name: 'Antrea', isOf: ({ name }) => name.startsWith('ANTREA-'), mend: REBOOT },
  { name: 'Weave', isOf: ({ name }) => name.startsWith('WEAVE-NPC'), mend: REBOOT },
  { name: 'Azure NPM', isOf: ({ name }) => name.startsWith('AZURE-NPM'), mend: REBOOT },
  {
    name: 'kube-network-policies',
    isOf: ({ table }) => /^\S+ (?:kube-network-policies|kindnet-network-policies)$/.test(table),
    mend: 'remove its DaemonSet (in flannel\'s chart "netpol.enabled: false"), then nft delete table inet kube-network-policies',
  },
];

/** Nobody else judges pods' packets here, nor left what still does. Only the names of chains and tables are looked at. */
export function checkLeftovers({ chains: { chains, unseen }, backend }: ExaminedNode): readonly Finding[] {
  const found = ENGINES.flatMap(({ name, isOf, mend }) => {
    const [first, ...more] = chains.filter(isOf);
    if (first === undefined) return [];
    return [
      findings.warning(
        `${name} judges pods too, or has left its rules: ${printable(`${first.table} ${first.name}`)}${more.length === 0 ? '' : ` and ${more.length} more`}`,
        mend,
      ),
    ];
  });
  const ours = otherBackends(chains).filter((other) => other !== backend);
  return [
    ...(found.length === 0 && unseen.length === 0 ? [findings.ok('No chain of another engine is here')] : found),
    ...ours.map((other) =>
      findings.warning(
        `There are rules of kube-nwplcy itself in ${other} too, beside ${backend ?? 'no backend'}`,
        'start the agent: it hands over to one backend and takes out the others; or "kube-nwplcy cleanup"',
      ),
    ),
  ];
}

function otherBackends(chains: readonly AnyChain[]): readonly string[] {
  const places = new Set(chains.flatMap(placeOf));
  return BACKENDS.filter((backend) => places.has(backend));
}

function placeOf({ table, name }: AnyChain): readonly string[] {
  if (table === 'inet kube-nwplcy') return ['nftables'];
  if (name !== ENTRY_CHAIN) return [];
  return [table.startsWith('legacy ') ? 'iptables-legacy' : 'iptables-nft'];
}
