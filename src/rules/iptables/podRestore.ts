import type { IpFamily } from '../../net/family.ts';
import type { Chain, Rule } from './chain.ts';
import { endChains } from './endChains.ts';
import { entryChain, JUMPS, rejectChain, STANDING_CHAINS } from './entryChains.ts';
import type { Mark } from '../mark.ts';
import { EGRESS_CHAIN, ENTRY_CHAIN, podChainName } from '../names.ts';
import type { AttachmentId, PodHooks, PodJudgements } from '../pod.ts';
import { podHookRules, TO_SOURCES, type Hook } from './hooks.ts';
import { podChains } from './podChains.ts';

/** Lines of a table of iptables-restore: chains first declared, then commands. */
export type RestoreLines = readonly string[];

/** Returns the whole input of `iptables-restore --noflush`: one transaction on the filter table. */
export function restoreText(lines: RestoreLines): string {
  return ['*filter', ...lines, 'COMMIT', ''].join('\n');
}

export interface AddedPod {
  readonly family: IpFamily;
  readonly judgements: PodJudgements;
  /** A generation that no flow was ever judged under: flows to an address that nobody held, or a dead pod, are judged again. */
  readonly mark: Mark;
  /** The hooks of the same attachment that are in the kernel already, when ADD comes twice. */
  readonly replaced: PodHooks | undefined;
}

/**
 * Returns the transaction that hooks a pod in: its chains, its hooks, a new generation. The standing chains must be there.
 */
export function addPod(hooks: PodHooks, { family, judgements, mark, replaced }: AddedPod): RestoreLines {
  const chains = podChains(hooks, { family, judgements });
  return [
    ...chains.map(({ name }) => `:${name} - [0:0]`),
    ...chains.flatMap(({ name, rules: content }) => content.map((rule) => `-A ${name} ${rule}`)),
    ...(replaced === undefined ? [] : unhookLines(podHookRules(replaced, family), 'head')),
    ...podHookRules(hooks, family).map(({ chain, rule }) => `-I ${chain} ${rule}`),
    ...raiseLines(entryChain(family, mark)),
  ];
}

/**
 * Returns the lines that begin a new generation before the present one. A transaction that deletes nothing is committed at once; one that deletes
 * a rule waits until no processor looks at it any more (RCU), which is several times what the rest of ADD's takes. The agent tidies up.
 */
export function raiseLines({ name, rules }: Chain): RestoreLines {
  return rules.toReversed().map((rule) => `-I ${name} ${rule}`);
}

/** Where a pod's hooks stand: at the head of their chains, where ADD has put them, or in their buckets. */
export type HookPlace = 'head' | 'bucket';

/** Returns where to look for a pod's hooks, the likelier place first. */
export function placesToTry(settled: boolean): readonly HookPlace[] {
  return settled ? ['bucket', 'head'] : ['head', 'bucket'];
}

/** Returns the transaction that takes a pod out. It fails as a whole when any part of the pod is missing, or elsewhere. */
export function deletePod(
  hooks: PodHooks,
  { family, place }: { readonly family: IpFamily; readonly place: HookPlace },
): RestoreLines {
  const names = podChains(hooks, { family, judgements: { ingress: { kind: 'open' }, egress: { kind: 'open' } } }).map(
    ({ name }) => name,
  );
  return [...unhookLines(podHookRules(hooks, family), place), ...names.flatMap(dropChainLines)];
}

/**
 * Returns the transaction that takes out whatever is left of an attachment of which only the name is known, given what the chains that may hold a
 * hook of it do hold and which of the pod's two chains exist.
 */
export function deleteRemains(
  attachment: AttachmentId,
  kernel: { readonly hookRules: ReadonlyMap<string, readonly Rule[]>; readonly chains: ReadonlySet<string> },
): RestoreLines {
  const own = podChainNames(attachment);
  const isHook = (rule: Rule) => own.some((name) => rule.endsWith(` -g ${name}`));
  return [
    ...[...kernel.hookRules].flatMap(([chain, rules]) => rules.filter(isHook).map((rule) => `-D ${chain} ${rule}`)),
    ...own.filter((name) => kernel.chains.has(name)).flatMap(dropChainLines),
  ];
}

/** Returns the names of both chains of an attachment. */
export function podChainNames(attachment: AttachmentId): readonly string[] {
  return [podChainName('ingress', attachment), podChainName('egress', attachment)];
}

export interface StandingFacts {
  readonly family: IpFamily;
  readonly mark: Mark;
  /** Which of the standing chains exist. */
  readonly chains: ReadonlySet<string>;
  /** Which of our jumps are in place, FORWARD's as the first rule. */
  readonly jumps: ReadonlySet<keyof typeof JUMPS>;
}

/**
 * Returns the lines that bring up what is missing of the standing chains and jumps. They come before any other line of the transaction.
 * `-N` and not `:NAME`: of two writers that both found a chain missing the second must fail and look again, not empty what the first filled.
 */
export function ensureStanding({ family, mark, chains, jumps }: StandingFacts): RestoreLines {
  const missing = STANDING_CHAINS.filter((name) => !chains.has(name));
  return [
    ...missing.map((name) => `-N ${name}`),
    ...[rejectChain(family), ...endChains(family, { isRecording: false })]
      .filter(({ name }) => missing.includes(name))
      .flatMap(fillLines),
    ...(missing.includes(EGRESS_CHAIN) ? [`-A ${EGRESS_CHAIN} ${TO_SOURCES}`] : []),
    ...(missing.includes(ENTRY_CHAIN) ? fillLines(entryChain(family, mark)) : []),
    ...Object.entries(JUMPS)
      .filter(([chain]) => !jumps.has(chain as keyof typeof JUMPS))
      .map(([chain, rule]) => `-I ${chain} ${rule}`),
  ];
}

/** Returns the lines that give an existing chain new content. Inside a transaction nobody sees it empty. */
export function rewriteLines({
  name,
  rules,
}: {
  readonly name: string;
  readonly rules: readonly Rule[];
}): RestoreLines {
  return [`-F ${name}`, ...fillLines({ name, rules })];
}

function fillLines({ name, rules }: { readonly name: string; readonly rules: readonly Rule[] }): RestoreLines {
  return rules.map((rule) => `-A ${name} ${rule}`);
}

function unhookLines(hooks: readonly Hook[], place: HookPlace): RestoreLines {
  return hooks.map((hook) => `-D ${holderOf(hook, place)} ${hook.rule}`);
}

/** Returns the chain in which a hook stands. */
export function holderOf({ chain, bucket }: Hook, place: HookPlace): string {
  return place === 'bucket' && bucket !== undefined ? bucket.name : chain;
}

/** Returns the lines that empty and remove a chain that nothing refers to any more. */
function dropChainLines(name: string): RestoreLines {
  return [`-F ${name}`, `-X ${name}`];
}
