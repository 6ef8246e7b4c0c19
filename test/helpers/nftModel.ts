import type { Key, Rule, TableFamily, Verdict } from './nftRule.ts';
import type { TypeName } from './nftTypes.ts';

export type HookName = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';

/** Where the kernel calls a base chain. */
export interface BaseHook {
  readonly hook: HookName;
  readonly priority: number;
  readonly policy: 'accept' | 'drop';
}

export interface NftRule extends Rule {
  readonly handle: number;
}

export interface NftChain {
  readonly name: string;
  readonly handle: number;
  readonly comment: string | undefined;
  /** `undefined` for a chain that only rules and maps lead to. */
  readonly base: BaseHook | undefined;
  readonly rules: readonly NftRule[];
}

export interface NftElement {
  readonly key: Key;
  readonly comment: string | undefined;
  /** Of a map's element. */
  readonly verdict: Verdict | undefined;
}

export interface NftSet {
  readonly kind: 'set' | 'map';
  readonly name: string;
  readonly handle: number;
  readonly comment: string | undefined;
  readonly types: readonly TypeName[];
  readonly interval: boolean;
  /** Of a set that packets fill: how many members it takes, and for how long. */
  readonly filled: { readonly size: string; readonly timeout: string } | undefined;
  /** By the text of their keys. */
  readonly elements: ReadonlyMap<string, NftElement>;
}

export interface NftTable {
  readonly family: TableFamily;
  readonly name: string;
  readonly handle: number;
  readonly comment: string | undefined;
  readonly chains: ReadonlyMap<string, NftChain>;
  /** Sets and maps, which share their names. */
  readonly sets: ReadonlyMap<string, NftSet>;
}

/** All tables, by `family name`. */
export type NftTables = ReadonlyMap<string, NftTable>;
