import type { IpFamily } from '../../net/family.ts';
import type { Chain, Rule } from './chain.ts';
import { entryChain, JUMPS, rejectChain, STANDING_CHAINS } from './entryChains.ts';
import type { Mark } from '../mark.ts';
import { EGRESS_CHAIN, ENTRY_CHAIN, INGRESS_CHAIN, podChainName, REJECT_CHAIN } from '../names.ts';
import type { PodHooks, PodJudgements } from '../pod.ts';
import { podChains, podHookRules } from './podChains.ts';

/** The chains that hold the hooks of every pod. */
export const HOOK_CHAINS = [EGRESS_CHAIN, INGRESS_CHAIN] as const;

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
  const rules = podHookRules(hooks, family);
  return [
    ...chains.map(({ name }) => `:${name} - [0:0]`),
    ...chains.flatMap(({ name, rules: content }) => content.map((rule) => `-A ${name} ${rule}`)),
    ...(replaced === undefined ? [] : unhookLines(replaced, family)),
    ...HOOK_CHAINS.flatMap((chain) => hookLines(chain, rules[chain])),
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

/** Returns the lines that put hooks in, so that the chain then holds what `withHooks` returns. */
export function hookLines(chain: string, hooks: readonly Rule[]): RestoreLines {
  const first = hooks.filter((rule) => !isBySource(rule)).toReversed();
  return [
    ...first.map((rule) => `-I ${chain} ${rule}`),
    ...hooks.filter(isBySource).map((rule) => `-A ${chain} ${rule}`),
  ];
}

/**
 * Returns the rules of a hook chain with more hooks in it. Hooks go to the head, where the newest wins should an older pod's hook for the same
 * address have been left behind; those by source address go to the end: who forges another pod's address must meet his own interface's hook first.
 */
export function withHooks(present: readonly Rule[], hooks: readonly Rule[]): readonly Rule[] {
  return [...hooks.filter((rule) => !isBySource(rule)), ...present, ...hooks.filter(isBySource)];
}

function isBySource(rule: Rule): boolean {
  return rule.startsWith('-s ');
}

/** Returns the transaction that takes a pod out. It fails as a whole when any part of the pod is missing. */
export function deletePod(hooks: PodHooks, family: IpFamily): RestoreLines {
  const names = podChains(hooks, { family, judgements: { ingress: { kind: 'open' }, egress: { kind: 'open' } } }).map(
    ({ name }) => name,
  );
  return [...unhookLines(hooks, family), ...names.flatMap(dropChainLines)];
}

/**
 * Returns the transaction that takes out whatever is left of an attachment of which only the name is known, given what the hook chains hold and
 * which of the pod's two chains exist.
 */
export function deleteRemains(
  attachment: { readonly containerId: string; readonly ifName: string },
  kernel: { readonly hookRules: ReadonlyMap<string, readonly Rule[]>; readonly chains: ReadonlySet<string> },
): RestoreLines {
  const own = podChainNames(attachment);
  const isHook = (rule: Rule) => own.some((name) => rule.endsWith(` -g ${name}`));
  return [
    ...HOOK_CHAINS.flatMap((chain) =>
      (kernel.hookRules.get(chain) ?? []).filter(isHook).map((rule) => `-D ${chain} ${rule}`),
    ),
    ...own.filter((name) => kernel.chains.has(name)).flatMap(dropChainLines),
  ];
}

/** Returns the names of both chains of an attachment. */
export function podChainNames(attachment: {
  readonly containerId: string;
  readonly ifName: string;
}): readonly string[] {
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
    ...(missing.includes(REJECT_CHAIN) ? fillLines(rejectChain(family)) : []),
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

function unhookLines(hooks: PodHooks, family: IpFamily): RestoreLines {
  const rules = podHookRules(hooks, family);
  return HOOK_CHAINS.flatMap((chain) => rules[chain].map((rule) => `-D ${chain} ${rule}`));
}

/** Returns the lines that empty and remove a chain that nothing refers to any more. */
function dropChainLines(name: string): RestoreLines {
  return [`-F ${name}`, `-X ${name}`];
}
