import { Command, Option } from 'commander';
import { adopt } from '../agent/adoptedPods.ts';
import { localView } from '../agent/localPods.ts';
import type { Cluster } from '../kube/cluster.ts';
import { objectKey } from '../kube/pod.ts';
import { printable, quote } from '../net/quote.ts';
import { compile } from '../policy/compile.ts';
import { nodeText } from '../rules/iptables/nodeText.ts';
import { nftNodeText } from '../rules/nftables/nodeText.ts';
import { QUARANTINE } from '../rules/pod.ts';
import { wantedPolicy } from '../rules/wanted.ts';
import type { CommandIo } from './io.ts';
import { answering, NoAnswerError, readObjects, withSource, type SourceFlags } from './objects.ts';

interface RenderFlags extends SourceFlags {
  readonly nodeName: string;
  readonly backend: (typeof RENDERED_BACKENDS)[number];
  readonly only: Section | undefined;
  readonly output: 'text' | 'json';
}

type Section = (typeof SECTIONS)[number];
const SECTIONS = ['nftables', 'ipset', 'iptables', 'ip6tables'] as const;

const RENDERED_BACKENDS = ['nftables', 'iptables'] as const;

/** How each section gets into a kernel. */
const PROGRAMS: Readonly<Record<Section, string>> = {
  nftables: 'nft -f -',
  ipset: 'ipset restore -exist',
  iptables: 'iptables-restore --noflush',
  ip6tables: 'ip6tables-restore --noflush',
};

/** `render`: the sets and rules that an agent would write on a fresh node; needs no root and touches nothing. */
export function renderCommand(io: CommandIo): Command {
  return withSource(new Command('render'))
    .description('print the sets and rules of a node, as an agent would write them')
    .requiredOption('--node-name <name>', "the node's name, as pods name it in spec.nodeName")
    .addOption(
      new Option('--backend <backend>', 'how rules get into the kernel').choices(RENDERED_BACKENDS).default('iptables'),
    )
    .addOption(new Option('--only <section>', 'print only this, fit for its program').choices(SECTIONS))
    .addOption(new Option('--output <format>', 'how to answer').choices(['text', 'json']).default('text'))
    .addHelpText('after', HELP)
    .action(async (flags: RenderFlags) => answering(io, () => answer(flags, io)));
}

const HELP = `
The text is for a node whose kernel holds nothing of kube-nwplcy yet, and takes the pods that run there as ones that were there before: they are
hooked in by their addresses, since no manifest tells their interfaces.

Examples:
  kube-nwplcy render --backend nftables ... | nft -f -
For iptables, in this order:
  kube-nwplcy render ... --only ipset     | ipset restore -exist
  kube-nwplcy render ... --only iptables  | iptables-restore --noflush
  kube-nwplcy render ... --only ip6tables | ip6tables-restore --noflush

Exit codes: 0; 2 no answer (a manifest that cannot be used) or bad usage.`;

async function answer({ nodeName, backend, only, output, ...source }: RenderFlags, io: CommandIo): Promise<0> {
  if (only !== undefined && (only === 'nftables') !== (backend === 'nftables'))
    throw new NoAnswerError(`Cannot print only "${only}": it is no part of "--backend ${backend}"`);
  const { cluster } = await readObjects(source, io);
  if (![...cluster.pods.values()].some((pod) => pod.nodeName === nodeName))
    io.stderr(`${strangeNodeText(cluster, nodeName)}\n`);
  const sections = renderNode(cluster, { nodeName, backend }).filter(([name]) => (only ?? name) === name);
  if (output === 'json') io.stdout(`${JSON.stringify(Object.fromEntries(sections))}\n`);
  else if (only !== undefined) io.stdout(sections.map(([, text]) => text).join(''));
  else
    io.stdout(
      sections.map(([name, text]) => `# ${name} of node ${printable(nodeName)}: ${PROGRAMS[name]}\n${text}`).join('\n'),
    );
  return 0;
}

function strangeNodeText({ pods }: Cluster, nodeName: string): string {
  const names = new Set([...pods.values()].flatMap((pod) => pod.nodeName ?? []));
  const known = [...names].toSorted().slice(0, 10).map(printable).join(', ');
  return `No pod is on node ${quote(nodeName)}${known === '' ? '' : `: there are pods on ${known}`}`;
}

/** Returns what a fresh agent would write on a node, the same text for the same objects in whatever order. */
export function renderNode(
  cluster: Cluster,
  { nodeName, backend }: Pick<RenderFlags, 'nodeName' | 'backend'>,
): readonly (readonly [Section, string])[] {
  const view = localView(sorted(cluster), { nodeName, attachments: [], detached: new Set() });
  const policy = wantedPolicy(compile(view.cluster, nodeName));
  const pods = adopt(view.unrecorded, new Map()).map(({ pod, hooks }) => ({
    hooks,
    judgements: policy.judgements.get(objectKey(pod)) ?? QUARANTINE,
  }));
  if (backend === 'nftables') return [['nftables', nftNodeText({ policy, pods })]];
  const { ipset, rules } = nodeText({ policy, pods });
  return [
    ['ipset', ipset],
    ['iptables', rules.ipv4],
    ['ip6tables', rules.ipv6],
  ];
}

function sorted({ namespaces, pods, policies }: Cluster): Cluster {
  return { namespaces: byKey(namespaces), pods: byKey(pods), policies: byKey(policies) };
}

function byKey<Item>(items: ReadonlyMap<string, Item>): ReadonlyMap<string, Item> {
  return new Map([...items].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
