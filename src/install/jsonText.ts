/** A part of a text: from `start` up to, but not including, `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A member of an object, by where its key and its value stand. */
export interface Member {
  readonly key: string;
  readonly name: Span;
  readonly value: Span;
}

/**
 * Returns where the members of the object stand that begins at `start`. The text must be valid JSON (`JSON.parse` takes it): then a file can be
 * edited where it must change, and every other byte of it stays as its owner wrote it.
 */
export function membersAt(text: string, start: number): readonly Member[] {
  const members: Member[] = [];
  let at = skipSpace(text, start + 1);
  while (text[at] !== '}') {
    const name = { start: at, end: valueEnd(text, at) };
    const value = valueAt(text, skipSpace(text, name.end) + 1);
    members.push({ key: String(JSON.parse(text.slice(name.start, name.end))), name, value });
    at = skipComma(text, value.end);
  }
  return members;
}

/** Returns where the elements of the list stand that begins at `start`, in valid JSON. */
export function elementsAt(text: string, start: number): readonly Span[] {
  const elements: Span[] = [];
  let at = skipSpace(text, start + 1);
  while (text[at] !== ']') {
    const element = valueAt(text, at);
    elements.push(element);
    at = skipComma(text, element.end);
  }
  return elements;
}

/** Returns where the value stands that comes at or after a place, in valid JSON. */
export function valueAt(text: string, at: number): Span {
  const start = skipSpace(text, at);
  return { start, end: valueEnd(text, start) };
}

/** Returns `text` with the part in `span` replaced. */
export function spliced(text: string, { start, end }: Span, replacement: string): string {
  return text.slice(0, start) + replacement + text.slice(end);
}

function valueEnd(text: string, start: number): number {
  if (text[start] === '"') return stringEnd(text, start);
  if (text[start] !== '{' && text[start] !== '[') return matchEnd(/[^\s,\]}]*/y, text, start);
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') at = stringEnd(text, at) - 1;
    else if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') depth -= 1;
    if (depth === 0) return at + 1;
  }
  return text.length;
}

function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '"') return at + 1;
    if (text[at] === '\\') at += 1;
  }
  return text.length;
}

function skipComma(text: string, at: number): number {
  const next = skipSpace(text, at);
  return text[next] === ',' ? skipSpace(text, next + 1) : next;
}

function skipSpace(text: string, at: number): number {
  return matchEnd(/[ \t\r\n]*/y, text, at);
}

function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return at + (pattern.exec(text)?.[0].length ?? 0);
}
