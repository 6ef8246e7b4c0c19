import { setImmediate } from 'node:timers/promises';
import { Composer, isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, Parser } from 'yaml';
import type { Document } from 'yaml';
import type { KubeObject } from '../kube/cluster.ts';
import { decodeObjects } from '../kube/decode.ts';
import { DecodeError, MOST_PROBLEMS, problemText } from '../kube/decodeError.ts';
import type { FieldKey } from '../kube/decodeError.ts';
import { printable } from '../net/quote.ts';

export interface ManifestObject {
  readonly object: KubeObject;
  /** The line on which its document begins; unknown in JSON. */
  readonly line: number | undefined;
}

export interface ManifestProblem {
  readonly line: number | undefined;
  readonly message: string;
}

/** What a file holds: all of its objects, or everything that is wrong with it. */
export type Manifest =
  | { readonly kind: 'valid'; readonly objects: readonly ManifestObject[] }
  | { readonly kind: 'invalid'; readonly problems: readonly ManifestProblem[] };

// The tree of a YAML document takes a hundred times its size in memory, and its making holds up the agent for half a second a
// MiB. The API server takes no object above 1.5 MiB.
const LARGEST_DOCUMENT = 4 * 1024 * 1024;

const LEXEMES_AT_ONCE = 5000;

/** Reads a file of YAML documents or one JSON document. Gives way to other work in between. Never throws. */
export async function readManifest(text: string): Promise<Manifest> {
  const json = /^\s*\{/.test(text) ? readJson(text) : undefined;
  // What JSON cannot read may be YAML, and of a bad object the YAML tree knows the lines.
  if (json?.kind === 'valid') return json;
  if (largestDocument(text) > LARGEST_DOCUMENT) return json ?? tooLarge();
  return await readYaml(text);
}

function readJson(text: string): Manifest | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return { kind: 'valid', objects: decodeObjects(value).map((object) => ({ object, line: undefined })) };
  } catch (error) {
    if (!(error instanceof DecodeError)) return undefined;
    return {
      kind: 'invalid',
      problems: error.problems.map((problem) => ({ line: undefined, message: problemText(problem) })),
    };
  }
}

async function readYaml(text: string): Promise<Manifest> {
  const lines = new LineCounter();
  const objects: (readonly ManifestObject[])[] = [];
  const problems: ManifestProblem[] = [];
  try {
    for await (const document of documentsOf(text, lines)) {
      const manifest = readDocument(document, lines);
      if (manifest.kind === 'valid') objects.push(manifest.objects);
      else problems.push(...manifest.problems);
      if (problems.length >= MOST_PROBLEMS) break;
    }
  } catch (error) {
    problems.push({ line: undefined, message: `Cannot read the YAML: ${messageOf(error)}` });
  }
  return problems.length > 0 ? { kind: 'invalid', problems } : { kind: 'valid', objects: objects.flat() };
}

// What `parseAllDocuments` does, in portions: an agent that is busy for seconds counts as away.
async function* documentsOf(text: string, lines: LineCounter): AsyncGenerator<Document.Parsed> {
  const parser = new Parser(lines.addNewLine);
  const composer = new Composer({ merge: true, logLevel: 'error' });
  let lexemes = 0;
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) yield* composer.next(token);
    lexemes += 1;
    if (lexemes % LEXEMES_AT_ONCE === 0) await setImmediate();
  }
  for (const token of parser.end()) yield* composer.next(token);
  yield* composer.end();
}

function readDocument(document: Document.Parsed, lines: LineCounter): Manifest {
  if (document.errors.length > 0) {
    const problems = document.errors.slice(0, MOST_PROBLEMS).map((error) => ({
      line: lines.linePos(error.pos[0]).line,
      message: `Cannot read the YAML: ${messageOf(error)}`,
    }));
    return { kind: 'invalid', problems };
  }
  const line = lineOf(document, lines, []);
  try {
    // Aliases share their values in memory, and an object is decoded no deeper than its fields go: they cost time only.
    const value: unknown = document.toJS({ maxAliasCount: 10_000 });
    const objects = value === null ? [] : decodeObjects(value);
    return { kind: 'valid', objects: objects.map((object) => ({ object, line })) };
  } catch (error) {
    if (!(error instanceof DecodeError)) {
      return { kind: 'invalid', problems: [{ line, message: `Cannot read the YAML: ${messageOf(error)}` }] };
    }
    const problems = error.problems.map((problem) => ({
      line: lineOf(document, lines, problem.keys),
      message: problemText(problem),
    }));
    return { kind: 'invalid', problems };
  }
}

// A field that is missing is told by the line of the last one on its path that is there.
function lineOf(document: Document.Parsed, lines: LineCounter, keys: readonly FieldKey[]): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range[0] ?? document.range[0];
  for (const key of keys) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
      if (isScalar(pair?.key) && pair.key.range) offset = pair.key.range[0];
      node = pair?.value;
    } else if (isSeq(node) && typeof key === 'number') {
      node = node.items[key];
      if (isScalar(node) || isMap(node) || isSeq(node) || isAlias(node)) offset = node.range?.[0] ?? offset;
    } else break;
  }
  return lines.linePos(offset).line;
}

function largestDocument(text: string): number {
  let largest = 0;
  let start = 0;
  for (const { index } of text.matchAll(/^---(?=\s|$)/gm)) {
    largest = Math.max(largest, index - start);
    start = index;
  }
  return Math.max(largest, text.length - start);
}

function tooLarge(): Manifest {
  const limit = `${LARGEST_DOCUMENT / 1024 / 1024} MiB`;
  return {
    kind: 'invalid',
    problems: [{ line: undefined, message: `Cannot read a YAML document above ${limit}: split it, or write JSON` }],
  };
}

// An error of the parser repeats parts of the text.
function messageOf(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error));
}
