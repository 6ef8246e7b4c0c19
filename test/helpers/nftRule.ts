import type { Field } from './nftFields.ts';
import type { KeyRange } from './nftTypes.ts';

export type Verdict =
  | { readonly kind: 'accept' | 'drop' | 'return' | 'continue' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string };

/** One key of a set, or the one value of a match: a range for each field of a concatenation. */
export type Key = readonly KeyRange[];

/** What a match looks for. */
export type Wanted =
  | { readonly kind: 'value'; readonly range: KeyRange }
  /** `{ a, b }`. */
  | { readonly kind: 'anonymous'; readonly keys: readonly Key[] }
  /** `@name`. */
  | { readonly kind: 'set'; readonly name: string }
  /** `a,b`: any of these flags. */
  | { readonly kind: 'flags'; readonly bits: bigint }
  /** `& mask == value`, also written `value/length`. */
  | { readonly kind: 'masked'; readonly mask: bigint; readonly value: bigint };

/** What nft asks of a packet before it reads a field: it need not be written, and mostly is not printed. */
export interface Dependency {
  readonly on: 'nfproto' | 'protocol' | 'ether' | 'l4proto';
  readonly value: bigint;
}

export interface MatchStatement {
  readonly kind: 'match';
  readonly fields: readonly Field[];
  readonly dependencies: readonly Dependency[];
  readonly negated: boolean;
  readonly wanted: Wanted;
}

export interface VmapStatement {
  readonly kind: 'vmap';
  readonly fields: readonly Field[];
  readonly dependencies: readonly Dependency[];
  /** A name, or what is written in the rule itself. */
  readonly map: string | readonly VmapElement[];
}

export interface VmapElement {
  readonly key: Key;
  readonly verdict: Verdict;
}

/** The mark becomes (mark & mask) ^ value. */
export interface SetMarkStatement {
  readonly kind: 'setMark';
  readonly mask: bigint;
  readonly value: bigint;
}

export type RejectAnswer = 'icmpx' | 'icmp' | 'icmpv6' | 'tcp reset';

export interface RejectStatement {
  readonly kind: 'reject';
  readonly answer: RejectAnswer;
  readonly dependencies: readonly Dependency[];
}

/** A packet puts its own key into a set: `add @name { ip saddr . 0 counter }`. What sets then hold is not followed. */
export interface RecordStatement {
  readonly kind: 'record';
  readonly verb: 'add' | 'update';
  readonly set: string;
  readonly fields: readonly Field[];
  readonly dependencies: readonly Dependency[];
  readonly counter: boolean;
}

export type Statement =
  | MatchStatement
  | VmapStatement
  | SetMarkStatement
  | RejectStatement
  | RecordStatement
  | { readonly kind: 'verdict'; readonly verdict: Verdict };

export interface Rule {
  readonly statements: readonly Statement[];
  readonly comment: string | undefined;
}

/** The families of tables that this reader knows. */
export type TableFamily = 'inet' | 'bridge';

/** Returns the chain that a verdict leads to, or `undefined`. */
export function chainOfVerdict(verdict: Verdict | undefined): string | undefined {
  return verdict !== undefined && 'chain' in verdict ? verdict.chain : undefined;
}

/** Returns the chains that a rule leads to by itself, without the maps that it names. */
export function chainsOfRule({ statements }: Rule): readonly string[] {
  return statements.flatMap((statement) => verdictsOf(statement).flatMap((verdict) => chainOfVerdict(verdict) ?? []));
}

function verdictsOf(statement: Statement): readonly Verdict[] {
  if (statement.kind === 'verdict') return [statement.verdict];
  return statement.kind === 'vmap' && typeof statement.map !== 'string'
    ? statement.map.map(({ verdict }) => verdict)
    : [];
}

/** Returns the set or map that a statement names, or `undefined`. */
export function setOf(statement: Statement): string | undefined {
  if (statement.kind === 'record') return statement.set;
  if (statement.kind === 'vmap') return typeof statement.map === 'string' ? statement.map : undefined;
  return statement.kind === 'match' && statement.wanted.kind === 'set' ? statement.wanted.name : undefined;
}

/** Returns the sets and maps that a rule names. */
export function setsOfRule({ statements }: Rule): readonly string[] {
  return statements.flatMap((statement) => setOf(statement) ?? []);
}
