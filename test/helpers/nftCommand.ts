import type { BaseHook, NftSet } from './nftModel.ts';
import type { Rule, TableFamily, Verdict } from './nftRule.ts';
import type { Token } from './nftTokens.ts';
import type { TypeName } from './nftTypes.ts';

/** A table, or something in it. */
export interface Place {
  readonly family: TableFamily;
  readonly table: string;
}

export interface Named extends Place {
  readonly name: string;
}

/** An element whose set tells the types of its key. */
export interface WrittenElement {
  readonly key: readonly Token[];
  readonly comment: string | undefined;
  readonly verdict: Verdict | undefined;
}

export type SetKind = 'set' | 'map';

export type Command = { readonly line: number } & (
  | { readonly kind: 'table'; readonly create: boolean; readonly at: Place; readonly comment: string | undefined }
  | { readonly kind: 'chain'; readonly create: boolean; readonly at: Named; readonly made: WrittenChain }
  | { readonly kind: 'set'; readonly create: boolean; readonly at: Named; readonly made: WrittenSet }
  | { readonly kind: 'rule'; readonly where: 'start' | 'end'; readonly at: Named; readonly rule: Rule }
  | { readonly kind: 'elements'; readonly verb: Verb; readonly at: Named; readonly elements: readonly WrittenElement[] }
  | { readonly kind: 'flush'; readonly what: 'chain' | SetKind; readonly at: Named }
  | { readonly kind: 'flushTable' | 'deleteTable'; readonly at: Place }
  | { readonly kind: 'delete'; readonly what: 'chain' | SetKind; readonly at: Named }
  | { readonly kind: 'deleteRule'; readonly at: Named; readonly handle: number }
);

type Verb = 'add' | 'create' | 'delete';

export interface WrittenChain {
  readonly comment: string | undefined;
  readonly base: BaseHook | undefined;
  /** A policy, which alone also changes that of a chain that is there. */
  readonly policy: 'accept' | 'drop' | undefined;
}

export interface WrittenSet {
  readonly kind: SetKind;
  readonly types: readonly TypeName[];
  readonly interval: boolean;
  readonly filled: NftSet['filled'];
  readonly comment: string | undefined;
}
