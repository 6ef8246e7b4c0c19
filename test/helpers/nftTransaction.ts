import type { Command, Named, Place, SetKind, WrittenChain, WrittenSet } from './nftCommand.ts';
import { addElements, deleteElements, type GrowingSet } from './nftElements.ts';
import type { BaseHook, NftChain, NftRule, NftSet, NftTable, NftTables } from './nftModel.ts';
import { chainOfVerdict, chainsOfRule, setOf, setsOfRule, type Rule, type Statement } from './nftRule.ts';
import { RefusedError } from './restoreTable.ts';

interface GrowingChain extends NftChain {
  base: BaseHook | undefined;
  rules: NftRule[];
}
interface GrowingTable extends NftTable {
  readonly chains: Map<string, NftChain>;
  readonly sets: Map<string, NftSet>;
}

const EXISTS = 'Could not process rule: File exists';
const ABSENT = 'Could not process rule: No such file or directory';
const BUSY = 'Could not process rule: Device or resource busy';
const UNSUPPORTED = 'Could not process rule: Operation not supported';

/** What tables become while one transaction goes through its commands. The tables that it began with stay as they are. */
export class NftTransaction {
  readonly #tables: Map<string, GrowingTable>;
  readonly #chains = new Owned<GrowingChain>();
  readonly #sets = new Owned<GrowingSet>();
  readonly #nextHandle: () => number;

  constructor(tables: NftTables, nextHandle: () => number) {
    const copies = [...tables].map(
      ([key, table]) => [key, { ...table, chains: new Map(table.chains), sets: new Map(table.sets) }] as const,
    );
    this.#tables = new Map(copies);
    this.#nextHandle = nextHandle;
  }

  get tables(): NftTables {
    return this.#tables;
  }

  /** Runs one command. Throws a RefusedError for what the kernel would not do. */
  run(command: Command): void {
    switch (command.kind) {
      case 'table':
        return this.#addTable(command.at, command);
      case 'chain':
        return this.#addChain(command.at, command);
      case 'set':
        return this.#addSet(command.at, command);
      case 'rule':
        return this.#addRule(command.at, command);
      case 'elements':
        return this.#changeElements(command.at, command);
      case 'flush':
        return this.#flush(command.at, command.what);
      case 'flushTable':
        for (const name of this.#table(command.at).chains.keys()) this.#chain({ ...command.at, name }).rules = [];
        return undefined;
      case 'deleteTable':
        this.#table(command.at);
        return void this.#tables.delete(keyOf(command.at));
      case 'delete':
        return command.what === 'chain' ? this.#deleteChain(command.at) : this.#deleteSet(command.at, command.what);
      case 'deleteRule':
        return this.#deleteRule(command.at, command.handle);
    }
  }

  #addTable(at: Place, { create, comment }: { readonly create: boolean; readonly comment: string | undefined }): void {
    const key = keyOf(at);
    if (this.#tables.has(key)) {
      if (create) throw new RefusedError(EXISTS);
      return;
    }
    const { family, table: name } = at;
    const handle = this.#nextHandle();
    this.#tables.set(key, { family, name, handle, comment, chains: new Map(), sets: new Map() });
  }

  #addChain(at: Named, { create, made }: { readonly create: boolean; readonly made: WrittenChain }): void {
    const { chains } = this.#table(at);
    const present = chains.get(at.name);
    if (present === undefined) {
      if (made.policy !== undefined && made.base === undefined) throw new RefusedError(UNSUPPORTED);
      const { comment, base } = made;
      const chain: GrowingChain = { name: at.name, handle: this.#nextHandle(), comment, base, rules: [] };
      chains.set(at.name, this.#chains.add(chain));
      return;
    }
    if (create) throw new RefusedError(EXISTS);
    if (made.base !== undefined && !isSamePlace(made.base, present.base)) throw new RefusedError(UNSUPPORTED);
    if (made.policy === undefined) return;
    if (present.base === undefined) throw new RefusedError(UNSUPPORTED);
    this.#chain(at).base = { ...present.base, policy: made.policy };
  }

  #addSet(at: Named, { create, made }: { readonly create: boolean; readonly made: WrittenSet }): void {
    const { sets } = this.#table(at);
    const present = sets.get(at.name);
    if (present === undefined) {
      const set: GrowingSet = { ...made, name: at.name, handle: this.#nextHandle(), elements: new Map() };
      sets.set(at.name, this.#sets.add(set));
      return;
    }
    if (create || !isSameSet(made, present)) throw new RefusedError(EXISTS);
  }

  #addRule(at: Named, { where, rule }: { readonly where: 'start' | 'end'; readonly rule: Rule }): void {
    const table = this.#table(at);
    const chain = this.#chain(at);
    for (const name of chainsOfRule(rule)) checkTarget(table, name);
    for (const statement of rule.statements) checkSets(table, statement);
    const added: NftRule = { ...rule, handle: this.#nextHandle() };
    if (where === 'start') chain.rules.unshift(added);
    else chain.rules.push(added);
  }

  #changeElements(at: Named, { verb, elements }: Extract<Command, { readonly kind: 'elements' }>): void {
    const table = this.#table(at);
    const set = this.#set(at);
    if (verb === 'delete') deleteElements(set, elements);
    else addElements(set, { elements, create: verb === 'create', checkTarget: (chain) => checkTarget(table, chain) });
  }

  #flush(at: Named, what: 'chain' | SetKind): void {
    if (what === 'chain') this.#chain(at).rules = [];
    else this.#set(at, what).elements.clear();
  }

  #deleteChain(at: Named): void {
    const { chains, sets } = this.#table(at);
    this.#chain(at);
    // The kernel takes the chain's own rules along, but counts one that leads back to it.
    const users = [...chains.values()].flatMap(({ rules }) => rules.flatMap(chainsOfRule));
    const elements = [...sets.values()].flatMap((set) => [...set.elements.values()]);
    if ([...users, ...elements.map(({ verdict }) => chainOfVerdict(verdict))].includes(at.name))
      throw new RefusedError(BUSY);
    chains.delete(at.name);
  }

  #deleteSet(at: Named, what: SetKind): void {
    const { chains, sets } = this.#table(at);
    const set = sets.get(at.name);
    // `delete set` also takes a map, `delete map` also a set.
    if (set === undefined) throw new RefusedError(`${ABSENT}: ${what} ${at.name}`);
    if ([...chains.values()].some(({ rules }) => rules.some((rule) => setsOfRule(rule).includes(at.name))))
      throw new RefusedError(BUSY);
    sets.delete(at.name);
  }

  #deleteRule(at: Named, handle: number): void {
    const chain = this.#chain(at);
    const index = chain.rules.findIndex((rule) => rule.handle === handle);
    if (index === -1) throw new RefusedError(ABSENT);
    chain.rules.splice(index, 1);
  }

  #table(at: Place): GrowingTable {
    const table = this.#tables.get(keyOf(at));
    if (table === undefined) throw new RefusedError(`${ABSENT}: table ${keyOf(at)}`);
    return table;
  }

  /** Returns a chain that may be written to. */
  #chain(at: Named): GrowingChain {
    const { chains } = this.#table(at);
    const chain = chains.get(at.name);
    if (chain === undefined) throw new RefusedError(`${ABSENT}: chain ${at.name}`);
    return this.#chains.own(chain, () => {
      const copy = { ...chain, rules: [...chain.rules] };
      chains.set(at.name, copy);
      return copy;
    });
  }

  /** Returns a set that may be written to. */
  #set(at: Named, what?: SetKind): GrowingSet {
    const { sets } = this.#table(at);
    const set = sets.get(at.name);
    if (set === undefined || (what !== undefined && set.kind !== what))
      throw new RefusedError(`${ABSENT}: ${what ?? 'set'} ${at.name}`);
    return this.#sets.own(set, () => {
      const copy = { ...set, elements: new Map(set.elements) };
      sets.set(at.name, copy);
      return copy;
    });
  }
}

/** What a transaction made or copied: the rest is of the tables that it began with, and is copied before it is changed. */
class Owned<Growing extends object> {
  readonly #own = new WeakMap<object, Growing>();

  add(made: Growing): Growing {
    this.#own.set(made, made);
    return made;
  }

  own(found: object, copy: () => Growing): Growing {
    return this.#own.get(found) ?? this.add(copy());
  }
}

function keyOf({ family, table }: Place): string {
  return `${family} ${table}`;
}

function isSamePlace(wanted: BaseHook, present: BaseHook | undefined): boolean {
  return wanted.hook === present?.hook && wanted.priority === present.priority;
}

function isSameSet(wanted: WrittenSet, present: NftSet): boolean {
  const isOfType = wanted.types.join(' . ') === present.types.join(' . ');
  return isOfType && wanted.kind === present.kind && wanted.interval === present.interval;
}

/** Refuses a jump to a chain that is not there, or that the kernel calls itself. */
function checkTarget({ chains }: NftTable, name: string): void {
  const chain = chains.get(name);
  if (chain === undefined) throw new RefusedError(`${ABSENT}: chain ${name}`);
  if (chain.base !== undefined) throw new RefusedError(UNSUPPORTED);
}

function checkSets({ sets }: NftTable, statement: Statement): void {
  const name = setOf(statement);
  if (name === undefined || !('fields' in statement)) return;
  const set = sets.get(name);
  if (set === undefined) throw new RefusedError(`${ABSENT}: set ${name}`);
  if (statement.kind === 'vmap' && set.kind !== 'map') throw new RefusedError('Expression is not a map');
  const types = statement.fields.map(({ type }) => type).join(' . ');
  if (types !== set.types.join(' . '))
    throw new RefusedError(`datatype mismatch, expected ${types}, expression has type ${set.types.join(' . ')}`);
}
