import { isRecordSet } from '../../src/rules/names.ts';
import { RefusedError } from './restoreTable.ts';

const MAX_NAME = 31;

interface KernelSet {
  /** What `create` was given after the name. */
  readonly made: string;
  /** Members by what tells them apart, with their options. */
  readonly members: Map<string, string>;
}

/**
 * The sets of a kernel, changed by lines of `ipset restore -exist` alone. As there, what went before a refused line stays done, and a member or set
 * that is to go may be gone already.
 */
export class SetTable {
  readonly #sets = new Map<string, KernelSet>();
  readonly #isInUse: (name: string) => boolean;

  constructor({ isInUse = () => false }: { readonly isInUse?: (name: string) => boolean } = {}) {
    this.#isInUse = isInUse;
  }

  /** All sets but those that packets fill, with their members as `ipset save` prints them. */
  get sets(): ReadonlyMap<string, ReadonlySet<string>> {
    const sets = [...this.#sets].filter(([name]) => !isRecordSet(name));
    return new Map(sets.map(([name, { members }]) => [name, new Set(members.values())]));
  }

  has(name: string): boolean {
    return this.#sets.has(name);
  }

  /** Runs lines in order. Throws a RefusedError at the first that the kernel would not take. */
  restore(lines: readonly string[]): void {
    for (const [index, line] of lines.entries()) {
      try {
        this.#run(line);
      } catch (error) {
        if (!(error instanceof RefusedError)) throw error;
        throw new RefusedError(`Error in line ${index + 1}: ${error.message}`);
      }
    }
  }

  /** Returns what `ipset save` prints. */
  save(): string {
    return [...this.#sets]
      .flatMap(([name, { made, members }]) => [
        `create ${name} ${made} hashsize 1024 bucketsize 12 initval 0x2f4a5c3e`,
        ...[...members.values()].map((member) => `add ${name} ${member}`),
      ])
      .map((line) => `${line}\n`)
      .join('');
  }

  /** Returns what `ipset list -terse` prints. */
  list(): string {
    const blocks = [...this.#sets].map(([name, { made, members }]) => {
      const [type, ...options] = made.split(' ');
      const header = `Header: ${options.join(' ')} bucketsize 12 initval 0x2f4a5c3e\nSize in memory: 504\nReferences: 0`;
      return `Name: ${name}\nType: ${type}\nRevision: 7\n${header}\nNumber of entries: ${members.size}\n`;
    });
    return blocks.join('\n');
  }

  #run(line: string): void {
    const [, verb = '', name = '', rest = ''] = /^(create|add|del|destroy) (\S+)(?: (.+))?$/.exec(line) ?? [];
    switch (verb) {
      case 'create':
        return this.#create(name, rest);
      case 'add':
        return this.#add(name, rest);
      case 'del':
        return void this.#named(name).members.delete(keyOf(rest));
      case 'destroy':
        return this.#destroy(name);
      default:
        throw new RefusedError('Unknown command');
    }
  }

  #create(name: string, made: string): void {
    if (name.length > MAX_NAME) throw new RefusedError(`setname '${name}' is longer than ${MAX_NAME} characters`);
    if (!MADE.test(made)) throw new RefusedError('Syntax error');
    const present = this.#sets.get(name);
    if (present === undefined) this.#sets.set(name, { made, members: new Map() });
    else if (present.made !== made)
      throw new RefusedError('Set cannot be created: set with the same name already exists');
  }

  #add(name: string, member: string): void {
    const { made, members } = this.#named(name);
    if (member.endsWith(' nomatch') && !made.startsWith('hash:net '))
      throw new RefusedError('Unknown argument: `nomatch`');
    if (member.endsWith('/0')) throw new RefusedError('The value of the CIDR parameter of the IP address is invalid');
    if (addressOf(member).includes(':') !== made.includes('inet6'))
      throw new RefusedError('Syntax error: cannot parse');
    // An element that is there already gets its options anew.
    members.set(keyOf(member), member);
  }

  #destroy(name: string): void {
    if (this.#isInUse(name)) throw new RefusedError('Set cannot be destroyed: it is in use by a kernel component');
    this.#sets.delete(name);
  }

  #named(name: string): KernelSet {
    const set = this.#sets.get(name);
    if (set === undefined) throw new RefusedError('The set with the given name does not exist');
    return set;
  }
}

// Those that packets fill forget what is old.
const MADE =
  /^hash:(?:(?:ip|net|ip,port) family inet6? maxelem \d+|ip,port,ip family inet6? hashsize \d+ maxelem \d+ timeout \d+(?: counters)?)$/;

function addressOf(member: string): string {
  return member.split(/[ ,/]/)[0] ?? '';
}

function keyOf(member: string): string {
  return member.replace(/ nomatch$/, '');
}
