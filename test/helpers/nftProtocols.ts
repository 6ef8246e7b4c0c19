import type { Field, Network } from './nftFields.ts';
import type { Dependency, MatchStatement, TableFamily, Wanted } from './nftRule.ts';
import { RefusedError } from './restoreTable.ts';

const ICMPV6 = 58n;
const ETHER: Readonly<Record<Network, bigint>> = { ip: 0x0800n, ip6: 0x86ddn, arp: 0x0806n };
const NFPROTO: Readonly<Record<Network, bigint | undefined>> = { ip: 2n, ip6: 10n, arp: undefined };

/** Which protocols the statements of a rule so far leave possible: nft refuses others, and does not ask a packet twice. */
export class KnownProtocols {
  readonly #family: TableFamily;
  #network: Network | undefined;
  #transports: readonly bigint[] | undefined;

  constructor(family: TableFamily) {
    this.#family = family;
  }

  get network(): Network | undefined {
    return this.#network;
  }

  /** Returns what is to be asked of a packet before a field is read. */
  ask({ network, transport }: Field): readonly Dependency[] {
    const transports = transport === undefined ? [] : this.askTransport(transport);
    if (network !== undefined) return this.askNetwork(network);
    // ICMPv6 is of IPv6 where nothing else was said; a bridge looks for that in the frame's header.
    if (transport !== ICMPV6 || this.#network !== undefined) return transports;
    const [dependency] = this.askNetwork('ip6');
    const inFrame: Dependency = { on: 'ether', value: ETHER.ip6 };
    return [this.#family === 'bridge' ? inFrame : (dependency ?? inFrame), ...transports];
  }

  askNetwork(network: Network): readonly Dependency[] {
    const known = this.#network;
    if (known !== undefined && known !== network)
      throw new RefusedError(`conflicting protocols specified: ${known} vs. ${network}`);
    this.#network = network;
    if (known !== undefined) return [];
    if (this.#family === 'bridge') return [{ on: network === 'arp' ? 'ether' : 'protocol', value: ETHER[network] }];
    const value = NFPROTO[network];
    if (value === undefined) throw new Error(`Cannot read nft text: "${network}" outside of a bridge table`);
    return [{ on: 'nfproto', value }];
  }

  askTransport(transport: bigint, complaint = 'conflicting protocols specified'): readonly Dependency[] {
    const known = this.#transports;
    if (known?.some((value) => value !== transport) === true) throw new RefusedError(complaint);
    this.#transports = [transport];
    return known === undefined ? [{ on: 'l4proto', value: transport }] : [];
  }

  /** Takes in what a match says of protocols. */
  learn({ fields, negated, wanted }: MatchStatement): void {
    const name = fields.length === 1 ? fields[0]?.name : undefined;
    const values = negated ? [] : valuesOf(wanted);
    if (name === 'meta l4proto' && values.length > 0) this.#transports ??= values;
    const isCode = name === 'meta nfproto' || (this.#family === 'bridge' && isProtocol(name));
    if (!isCode) return;
    const codes = name === 'meta nfproto' ? NFPROTO : ETHER;
    const found = (['ip', 'ip6', 'arp'] as const).find(
      (network) => values.length === 1 && codes[network] === values[0],
    );
    if (found !== undefined) this.#network ??= found;
  }
}

function isProtocol(name: string | undefined): boolean {
  return name === 'meta protocol' || name === 'ether type';
}

function valuesOf(wanted: Wanted): readonly bigint[] {
  if (wanted.kind === 'value') return wanted.range.form === 'value' ? [wanted.range.from] : [];
  return wanted.kind === 'anonymous' ? wanted.keys.flatMap(([range]) => range?.from ?? []) : [];
}
