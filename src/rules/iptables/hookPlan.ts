import { areSame } from '../areSame.ts';
import { EGRESS_CHAIN, isBucketChain } from '../names.ts';
import { targetOf, type Rule } from './chain.ts';
import { HOOK_CHAINS, MOST_AT_HEAD, TO_SOURCES, type Hook, type HookChain } from './hooks.ts';
import type { RestoreLines } from './podRestore.ts';
import { NO_LINES, withoutFirst, type Progress } from './progress.ts';

export interface WantedHooks {
  readonly hooks: Readonly<Record<HookChain, readonly Hook[]>>;
  /** Pod chains that an ADD or DEL under way is concerned with: the hooks that lead to them stay where they are. */
  readonly pending: ReadonlySet<string>;
}

/** What a chain that holds hooks should hold: the hooks in any order, then its tail. */
interface Holder {
  readonly name: string;
  readonly hooks: readonly Rule[];
  readonly tail: readonly Rule[];
}

/**
 * Returns the lines that put every hook where it belongs, and notes it. A hook that is in its bucket stays there; those at the head of a chain move
 * into theirs, all of them, once they are many.
 *
 * Single rules are put in and taken out, for an ADD or DEL may be changing the same chains. What stands at the head comes before what leads to the
 * buckets: no bucket can miss a pod that is not in it yet, and the newest hook wins should an older pod's for the same address have been left behind.
 */
export function hookPlan(wanted: WantedHooks, after: Progress): RestoreLines {
  if (wanted.pending.size === 0 && isSettled(wanted, after)) return NO_LINES;
  const holders = HOOK_CHAINS.map((chain) => holdersOf(chain, wanted, after));
  const buckets = holders.flatMap((holder) => holder.buckets);
  const heads = holders.map(({ head }) => head);
  const lines = [...buckets, ...heads].flatMap((holder) => holderLines(holder, wanted.pending, after));
  const kept = new Set(buckets.map(({ name }) => name));
  const stale = [...after.chains.keys()].filter((name) => isBucketChain(name) && !kept.has(name));
  for (const name of stale) after.delete(name);
  if (wanted.pending.size === 0) noteSettled(wanted, after, [...kept, ...HOOK_CHAINS]);
  return [...lines, ...['-F', '-X'].flatMap((verb) => stale.map((name) => `${verb} ${name}`))];
}

function holdersOf(
  chain: HookChain,
  { hooks, pending }: WantedHooks,
  after: Progress,
): { readonly head: Holder; readonly buckets: readonly Holder[] } {
  const isIn = ({ rule, bucket }: Hook) => bucket !== undefined && (after.get(bucket.name) ?? []).includes(rule);
  const isCrowded = hooks[chain].filter((hook) => !isIn(hook)).length > MOST_AT_HEAD;
  const jumps = new Set(heldJumps(chain, pending, after));
  const inBucket = new Map([...jumps].map((jump): [string, Rule[]] => [targetOf(jump), []]));
  const atHead: Rule[] = [];
  for (const hook of hooks[chain]) {
    const { rule, bucket } = hook;
    if (bucket !== undefined && (isCrowded || isIn(hook))) {
      jumps.add(bucket.jump);
      inBucket.getOrInsert(bucket.name, []).push(rule);
    } else atHead.push(rule);
  }
  // What no interface gave away is looked for by its address.
  const tail = chain === EGRESS_CHAIN ? [TO_SOURCES] : [];
  return {
    head: { name: chain, hooks: atHead, tail: [...[...jumps].toSorted(), ...tail] },
    buckets: [...inBucket].map(([name, rules]) => ({ name, hooks: rules, tail })),
  };
}

/** Returns the rules that lead to buckets which hold a hook that stays where it is. */
function heldJumps(chain: HookChain, pending: ReadonlySet<string>, after: Progress): readonly Rule[] {
  const isPending = (rule: Rule) => pending.has(targetOf(rule));
  return (after.get(chain) ?? []).filter((rule) => {
    const target = targetOf(rule);
    return isBucketChain(target) && (after.get(target) ?? []).some(isPending);
  });
}

function holderLines({ name, hooks, tail }: Holder, pending: ReadonlySet<string>, after: Progress): RestoreLines {
  const present = after.get(name);
  const own = (present ?? []).filter((rule) => !pending.has(targetOf(rule)));
  const surplus = withoutFirst(own, [...hooks, ...tail]);
  const missing = withoutFirst(hooks, own);
  const left = withoutFirst(present ?? [], surplus);
  const first = withoutFirst(left, tail);
  const isInOrder = areSame(left, [...first, ...tail]);
  after.set(name, [...missing, ...first, ...tail]);
  return [
    ...(present === undefined ? [`:${name} - [0:0]`] : []),
    ...surplus.map((rule) => `-D ${name} ${rule}`),
    ...missing.toReversed().map((rule) => `-I ${name} ${rule}`),
    ...(isInOrder ? [] : movedLines(name, { from: left, tail })),
  ];
}

/** Returns the lines that put a tail at the end, whatever of it is there already. */
function movedLines(
  name: string,
  { from, tail }: { readonly from: readonly Rule[]; readonly tail: readonly Rule[] },
): RestoreLines {
  const present = withoutFirst(tail, withoutFirst(tail, from));
  return [...present.map((rule) => `-D ${name} ${rule}`), ...tail.map((rule) => `-A ${name} ${rule}`)];
}

/** The hooks that chains were found to hold, each where it belongs, by the rules of the first of them. */
const settled = new WeakMap<
  readonly Rule[],
  { readonly hooks: WantedHooks['hooks']; readonly chains: ReadonlyMap<string, readonly Rule[]> }
>();

function isSettled({ hooks }: WantedHooks, after: Progress): boolean {
  const known = settled.get(after.get(EGRESS_CHAIN) ?? []);
  return (
    known !== undefined &&
    HOOK_CHAINS.every((chain) => areSame(known.hooks[chain], hooks[chain])) &&
    [...known.chains].every(([name, rules]) => after.get(name) === rules)
  );
}

function noteSettled({ hooks }: WantedHooks, after: Progress, names: readonly string[]): void {
  const chains = new Map(names.map((name) => [name, after.get(name) ?? []]));
  settled.set(after.get(EGRESS_CHAIN) ?? [], { hooks, chains });
}
