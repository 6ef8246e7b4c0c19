import type { JsonObject } from '../cni/config.ts';
import type { EntryKeys } from './entryKeys.ts';
import { ConflistError, parseConflist, PLUGIN_TYPE, type Conflist, type ListedPlugin } from './conflist.ts';
import { membersAt, spliced, type Span } from './jsonText.ts';
import { isHarmless } from './pluginTypes.ts';

/** A conflist's text after an edit, and what was done, as one says it after the verb; empty when nothing was. */
export interface Edited {
  readonly text: string;
  readonly done: readonly EntryEdit[];
}

export interface EntryEdit {
  readonly verb: 'added' | 'moved' | 'removed' | 'set';
  readonly what: string;
}

/**
 * Returns the conflist with exactly one entry of ours in it and these keys (besides `type`) set there; every other byte stays.
 *
 * A new entry goes to the end. A later plugin may change the interface or its addresses after we have hooked them in, and what an unknown plugin does
 * nobody knows. At DEL the last is first: the pod's interface, which we take down then, is still there. An entry that somebody has put elsewhere
 * stays, unless a plugin follows that may do such harm.
 */
export function withEntry(text: string, keys: EntryKeys): Edited {
  const single = withoutDoubles(text);
  const { plugins } = parseConflist(single.text);
  const at = plugins.findIndex(isOurs);
  const placed = at === -1 ? added(single.text) : moved(single.text, at);
  const set = withKeys(placed.text, keys);
  // A new entry's keys are part of its being added.
  return { text: set.text, done: [...single.done, ...placed.done, ...(at === -1 ? [] : set.done)] };
}

/** Returns the conflist without any entry of ours; every other byte stays. Throws a ConflistError when nothing else is in it. */
export function withoutEntry(text: string): Edited {
  const single = withoutDoubles(text);
  const conflist = parseConflist(single.text);
  const at = conflist.plugins.findIndex(isOurs);
  if (at === -1) return { text, done: [] };
  if (conflist.plugins.length === 1)
    throw new ConflistError(
      `Cannot take ${PLUGIN_TYPE} out: it is the only plugin; remove the file if nobody needs it`,
    );
  return { text: without(conflist, at), done: [...single.done, { verb: 'removed', what: PLUGIN_TYPE }] };
}

/** Tells whether a plugin of a conflist is ours. */
export function isOurs({ type }: { readonly type: string }): boolean {
  return type === PLUGIN_TYPE;
}

/** Of several entries the last one counts: at each ADD it replaced what the ones before had hooked in. */
function withoutDoubles(text: string): Edited {
  const conflist = parseConflist(text);
  const ours = conflist.plugins.filter(isOurs);
  if (ours.length < 2) return { text, done: [] };
  const rest = withoutDoubles(without(conflist, conflist.plugins.findIndex(isOurs)));
  return { text: rest.text, done: [{ verb: 'removed', what: `a second ${PLUGIN_TYPE}` }] };
}

function added(text: string): Edited {
  const conflist = parseConflist(text);
  const last = lastPlugin(conflist);
  return {
    text: appended(conflist, entryLike(text, last)),
    done: [{ verb: 'added', what: `${PLUGIN_TYPE} after ${last.type}` }],
  };
}

function moved(text: string, at: number): Edited {
  const conflist = parseConflist(text);
  const entry = conflist.plugins[at];
  if (conflist.plugins.every(isOurs))
    throw new ConflistError(`Cannot use it: ${PLUGIN_TYPE} needs a plugin before it that gives the pod its interface`);
  // Ours alone cannot begin: it works with what the plugin before it has made.
  if (entry === undefined || (at > 0 && conflist.plugins.slice(at + 1).every(isHarmless))) return { text, done: [] };
  const rest = parseConflist(without(conflist, at));
  return {
    text: appended(rest, text.slice(entry.span.start, entry.span.end)),
    done: [{ verb: 'moved', what: `${PLUGIN_TYPE} after ${lastPlugin(rest).type}` }],
  };
}

function appended(conflist: Conflist, entry: string): string {
  const { text } = conflist;
  const { end } = lastPlugin(conflist).span;
  return spliced(text, { start: end, end }, `,${gapBefore(conflist)}${entry}`);
}

/** Returns the white space that stands before the last plugin: what shall stand before one more. */
function gapBefore(conflist: Conflist): string {
  const { text, list } = conflist;
  const before = conflist.plugins.at(-2)?.span.end ?? list.start;
  const gap = text.slice(before, lastPlugin(conflist).span.start);
  return gap.replace(/^\s*[[,]/, '');
}

function without({ text, plugins }: Conflist, at: number): string {
  const [before, own, after] = [plugins[at - 1], plugins[at], plugins[at + 1]];
  if (own === undefined) return text;
  if (before !== undefined) return spliced(text, { start: before.span.end, end: own.span.end }, '');
  return spliced(text, { start: own.span.start, end: after?.span.start ?? own.span.end }, '');
}

/** Returns an entry of ours in the manner of another plugin's: in one line or several, as far indented, with as much space. */
function entryLike(text: string, { span }: ListedPlugin): string {
  const members = membersAt(text, span.start);
  const [first, last] = [members[0], members.at(-1)];
  if (first === undefined || last === undefined) return `{"type":"${PLUGIN_TYPE}"}`;
  const opening = text.slice(span.start, first.name.start);
  const between = text.slice(first.name.end, first.value.start);
  return `${opening}"type"${between}"${PLUGIN_TYPE}"${text.slice(last.value.end, span.end)}`;
}

function withKeys(text: string, keys: EntryKeys): Edited {
  const changed = Object.entries(keys).filter(
    ([key, value]) => JSON.stringify(ourFields(text)[key]) !== JSON.stringify(value),
  );
  const edited = changed.reduce((before, [key, value]) => withKey(before, { key, value }), text);
  return {
    text: edited,
    done: changed.map(([key, value]) => ({ verb: 'set', what: `${key} to ${JSON.stringify(value)}` })),
  };
}

function withKey(text: string, { key, value }: { readonly key: string; readonly value: unknown }): string {
  const span = ourEntry(text)?.span;
  if (span === undefined) return text;
  const members = membersAt(text, span.start);
  const present = members.find((member) => member.key === key);
  if (present !== undefined) return spliced(text, present.value, JSON.stringify(value));
  const last = members.at(-1);
  if (last === undefined) return text;
  return spliced(
    text,
    emptySpan(last.value.end),
    newMember(text, { key, value, last, before: members.at(-2) ?? span }),
  );
}

function newMember(
  text: string,
  {
    key,
    value,
    last,
    before,
  }: {
    readonly key: string;
    readonly value: unknown;
    readonly last: { readonly name: Span; readonly value: Span };
    readonly before: { readonly value: Span } | Span;
  },
): string {
  const from = 'value' in before ? before.value.end : before.start;
  const gap = text.slice(from, last.name.start).replace(/^\s*[{,]/, '');
  const between = text.slice(last.name.end, last.value.start);
  // In one line an object opens with or without a space, but a comma is followed by one unless nothing is.
  const space = gap === '' && between !== ':' ? ' ' : gap;
  return `,${space}${JSON.stringify(key)}${between}${JSON.stringify(value)}`;
}

function emptySpan(at: number): Span {
  return { start: at, end: at };
}

/** Returns the fields of our entry, none when there is none. */
export function ourFields(text: string): JsonObject {
  return ourEntry(text)?.fields ?? {};
}

function ourEntry(text: string): ListedPlugin | undefined {
  return parseConflist(text).plugins.find(isOurs);
}

function lastPlugin({ plugins }: Conflist): ListedPlugin {
  const last = plugins.at(-1);
  if (last === undefined) throw new Error('Cannot edit a conflist: it was parsed without plugins');
  return last;
}
