import type { Field } from './nftFields.ts';
import { keyText } from './nftKeys.ts';
import type { Dependency, MatchStatement, Rule, Statement, Verdict, VmapStatement, Wanted } from './nftRule.ts';
import { rangeText, TYPES } from './nftTypes.ts';

/** Returns a rule as nft 1.0.6 prints it: what another statement implies is left out. */
export function ruleText({ statements, comment }: Rule): string {
  const printed = statements.flatMap((statement, index) => {
    const isImplied = impliedDependency(statement, statements.slice(index + 1));
    return isImplied ? [] : [statementText(statement, transportBefore(statements.slice(0, index)))];
  });
  return [...printed, ...(comment === undefined ? [] : [`comment "${comment}"`])].join(' ');
}

/** Returns a verdict as nft prints it. */
export function verdictText(verdict: Verdict): string {
  return 'chain' in verdict ? `${verdict.kind} ${verdict.chain}` : verdict.kind;
}

const ALL_BITS = 0xffffffffn;
const NETWORKS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'meta nfproto': { 2: 'ip', 10: 'ip6' },
  'meta protocol': { 0x0800: 'ip', 0x86dd: 'ip6', 0x0806: 'arp' },
  'ether type': { 0x0800: 'ip', 0x86dd: 'ip6', 0x0806: 'arp' },
};
const ICMPV6 = 58n;

/** Tells whether a later statement says what this one does. */
function impliedDependency(statement: Statement, later: readonly Statement[]): boolean {
  if (statement.kind !== 'match' || statement.negated || statement.fields.length !== 1) return false;
  const name = statement.fields[0]?.name ?? '';
  const value =
    statement.wanted.kind === 'value' && statement.wanted.range.form === 'value'
      ? statement.wanted.range.from
      : undefined;
  if (value === undefined) return false;
  const fields = later.flatMap(fieldsOf);
  if (name === 'meta l4proto')
    return fields.some((field) => field.transport === value || (field.name.startsWith('th ') && hasPorts(value)));
  const network = NETWORKS[name]?.[String(value)];
  if (network === undefined) return false;
  // A listing loses the family where the answer is a TCP reset: nft 1.0.6 takes it to be implied there too.
  const answers = later.flatMap((other) => (other.kind === 'reject' ? [other.answer] : []));
  return (
    fields.some((field) => field.network === network || (field.transport === ICMPV6 && network === 'ip6')) ||
    (name === 'meta nfproto' && answers.some((answer) => answer !== 'icmpx'))
  );
}

function fieldsOf(statement: Statement): readonly Field[] {
  return statement.kind === 'match' || statement.kind === 'vmap' ? statement.fields : [];
}

function hasPorts(protocol: bigint): boolean {
  return ['tcp', 'udp', 'sctp'].includes(TYPES.inet_proto.print(protocol));
}

/** Returns the one transport protocol that statements leave, or `undefined`. */
function transportBefore(statements: readonly Statement[]): bigint | undefined {
  for (const statement of statements) {
    if (statement.kind === 'match' && statement.fields[0]?.name === 'meta l4proto' && !statement.negated) {
      const { wanted } = statement;
      return wanted.kind === 'value' && wanted.range.form === 'value' ? wanted.range.from : undefined;
    }
    const asked = dependenciesOf(statement).find(({ on }) => on === 'l4proto');
    if (asked !== undefined) return asked.value;
  }
  return undefined;
}

function dependenciesOf(statement: Statement): readonly Dependency[] {
  return 'dependencies' in statement ? statement.dependencies : [];
}

function statementText(statement: Statement, transport: bigint | undefined): string {
  switch (statement.kind) {
    case 'match':
      return matchText(statement, transport);
    case 'vmap':
      return `${fieldsText(statement.fields, transport)} vmap ${mapText(statement)}`;
    case 'record': {
      const { verb, set, fields, counter } = statement;
      return `${verb} @${set} { ${fieldsText(fields, transport)}${counter ? ' counter' : ''} }`;
    }
    case 'setMark':
      return setMarkText(statement);
    case 'verdict':
      return verdictText(statement.verdict);
    case 'reject':
      if (statement.answer === 'icmpx') return 'reject';
      return statement.answer === 'tcp reset'
        ? 'reject with tcp reset'
        : `reject with ${statement.answer} port-unreachable`;
  }
}

function fieldsText(fields: readonly Field[], transport: bigint | undefined): string {
  const header = transport !== undefined && hasPorts(transport) ? TYPES.inet_proto.print(transport) : 'th';
  return fields.map(({ name }) => name.replace(/^th /, `${header} `)).join(' . ');
}

function mapText({ fields, map }: VmapStatement): string {
  if (typeof map === 'string') return `@${map}`;
  const types = fields.map(({ type }) => type);
  return `{ ${map.map(({ key, verdict }) => `${keyText(types, key)} : ${verdictText(verdict)}`).join(', ')} }`;
}

function matchText({ fields, negated, wanted }: MatchStatement, transport: bigint | undefined): string {
  const left = fieldsText(fields, transport);
  const prefix = wanted.kind === 'masked' ? prefixOfMask(wanted.mask) : undefined;
  if (wanted.kind !== 'masked' || prefix !== undefined)
    return `${left} ${negated ? '!= ' : ''}${wantedText(fields, wanted, prefix)}`;
  const { print } = TYPES.mark;
  return `${left} & ${print(wanted.mask)} ${negated ? '!=' : '=='} ${print(wanted.value)}`;
}

function wantedText(fields: readonly Field[], wanted: Wanted, prefix: number | undefined): string {
  const types = fields.map(({ type }) => type);
  const [type = 'mark'] = types;
  switch (wanted.kind) {
    case 'value':
      return rangeText(type, wanted.range);
    case 'anonymous':
      return `{ ${wanted.keys.map((key) => keyText(types, key)).join(', ')} }`;
    case 'set':
      return `@${wanted.name}`;
    case 'flags':
      return flagsOf(wanted.bits).map(TYPES[type].print).join(',');
    case 'masked':
      return `${TYPES.mark.print(wanted.value)}${prefix === 32 ? '' : `/${prefix}`}`;
  }
}

function flagsOf(bits: bigint): readonly bigint[] {
  return Array.from({ length: 32 }, (_, index) => 1n << BigInt(index)).filter((flag) => (bits & flag) !== 0n);
}

/** Returns how many ones a mask begins with, if zeros follow to its end. */
function prefixOfMask(mask: bigint): number | undefined {
  const ones = mask.toString(2).padStart(32, '0').indexOf('0');
  const length = ones === -1 ? 32 : ones;
  return mask === ((ALL_BITS << BigInt(32 - length)) & ALL_BITS) ? length : undefined;
}

function setMarkText({ mask, value }: { readonly mask: bigint; readonly value: bigint }): string {
  const { print } = TYPES.mark;
  if (mask === 0n) return `ct mark set ${print(value)}`;
  const kept = (mask | value) === ALL_BITS ? '' : ` & ${print(mask | value)}`;
  return `ct mark set ct mark${kept}${value === 0n ? '' : ` | ${print(value)}`}`;
}
