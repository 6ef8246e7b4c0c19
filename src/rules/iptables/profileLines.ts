import { PROFILES_CHAIN } from '../names.ts';
import { targetOf, type Rule } from './chain.ts';
import type { WantedChains } from './chainPlan.ts';
import type { RestoreLines } from './podRestore.ts';
import { chainLines, NO_LINES, withoutFirst, type Progress } from './progress.ts';

/** Lists that name every profile which was in the kernel when they were written. */
const whole = new WeakSet<readonly Rule[]>();

/** Profiles are also written down in a chain that nobody enters: that is how a later agent finds them. */
export function profileLines(
  wanted: WantedChains['profiles'],
  after: Progress,
): { readonly made: RestoreLines; readonly mended: RestoreLines } {
  const list = after.get(PROFILES_CHAIN) ?? [];
  const isWhole = whole.has(list);
  let listed: ReadonlySet<Rule> | undefined;
  const [made, mended] = [part(), part()];
  for (const [name, rules] of wanted) {
    const present = after.get(name);
    if (present === rules && isWhole) continue;
    const { content, unlisted } = present === undefined ? made : mended;
    content.push(...chainLines({ name, rules }, after));
    listed ??= new Set(list);
    if (!listed.has(`-j ${name}`)) unlisted.push(`-j ${name}`);
  }
  if (listed !== undefined) {
    const all = [...list, ...made.unlisted, ...mended.unlisted];
    after.set(PROFILES_CHAIN, all);
    whole.add(all);
  }
  return { made: linesOf(made), mended: linesOf(mended) };
}

function part(): { readonly content: string[]; readonly unlisted: string[] } {
  return { content: [], unlisted: [] };
}

function linesOf({ content, unlisted }: ReturnType<typeof part>): RestoreLines {
  return [...content, ...unlisted.map((rule) => `-A ${PROFILES_CHAIN} ${rule}`)];
}

/** Returns the lines that take profiles out of the list, and notes it. */
export function unlistLines(profiles: ReadonlySet<string>, after: Progress): RestoreLines {
  const list = after.get(PROFILES_CHAIN) ?? [];
  const names = new Set(Array.from(profiles, (name) => `-j ${name}`));
  // As we write them they are found at once.
  const listed = list.filter((rule) => names.has(rule) || (!rule.startsWith('-j ') && profiles.has(targetOf(rule))));
  if (listed.length === 0) return NO_LINES;
  const rest = withoutFirst(list, listed);
  after.set(PROFILES_CHAIN, rest);
  whole.add(rest);
  return listed.map((rule) => `-D ${PROFILES_CHAIN} ${rule}`);
}
