import type { IpFamily } from '../../net/family.ts';
import type { Direction } from '../../kube/networkPolicy.ts';
import { LOG_BYTES, LOG_PACE, logPrefix } from '../flowLog.ts';
import {
  DIRECTIONS,
  MOST_RECORDS,
  RECORD_KINDS,
  RECORD_PLACES,
  type RecordKind,
  type RecordPlace,
} from '../flowRecords.ts';
import { NFT_END_CHAINS, nftRecordSetNames, REFUSE_CHAIN } from './names.ts';
import type { NftChain, NftRule, NftSet } from './table.ts';

/** Returns the chains in which a direction ends for what no rule allows, by name; `nflogGroup`: they log to that group, what only an agent asks for. */
export function endChains({ nflogGroup }: { readonly nflogGroup?: number } = {}): readonly (readonly [
  string,
  NftChain,
])[] {
  return RECORD_KINDS.flatMap((kind) =>
    DIRECTIONS.map((direction) => {
      const { rules, ...chain } = endChain(kind, direction);
      const logging = nflogGroup === undefined ? [] : [logRule({ kind, direction }, nflogGroup)];
      return [NFT_END_CHAINS[kind][direction], { ...chain, rules: [...logging, ...rules] }] as const;
    }),
  );
}

/** As nft prints it. */
export function logRule(place: Pick<RecordPlace, 'kind' | 'direction'>, group: number): NftRule {
  const pace = `limit rate ${LOG_PACE.perSecond}/second burst ${LOG_PACE.burst} packets`;
  return `${pace} log prefix "${logPrefix(place)}" group ${group} snaplen ${LOG_BYTES}`;
}

const LAST_RULES = { denied: `goto ${REFUSE_CHAIN}`, audited: 'return' } as const;

function endChain(kind: RecordKind, direction: Direction): NftChain {
  return {
    comment:
      kind === 'denied'
        ? `notes down what ${direction} is refused, and refuses it`
        : `notes down what ${direction} would be refused but for audit mode, and lets it pass`,
    rules: [
      // What belongs to no flow is not told by where it goes.
      `ct state invalid ${LAST_RULES[kind]}`,
      ...(['ipv4', 'ipv6'] as const).flatMap((family) => recordingRules({ kind, direction, family })),
      LAST_RULES[kind],
    ],
  };
}

const PROTOCOLS: Readonly<Record<IpFamily, string>> = { ipv4: 'ip', ipv6: 'ip6' };

/** `add` leaves what is there with the time that it has, `update` gives it a new one; both count. In a set that is full nothing new is noted down. */
function recordingRules(place: RecordPlace): readonly NftRule[] {
  const { flows, last } = nftRecordSetNames(place);
  const ip = PROTOCOLS[place.family];
  // Other protocols have no ports: ICMP has its checksum there.
  return [
    ['meta l4proto { tcp, udp, sctp }', 'th dport'],
    ['meta l4proto != { tcp, udp, sctp }', '0'],
  ].map(([match, port]) => {
    const key = `${ip} saddr . ${ip} daddr . meta l4proto . ${port}`;
    return `${match} add @${flows} { ${key} counter } update @${last} { ${key} }`;
  });
}

// As nft prints times.
const LIFETIMES = { denied: '10m', audited: '1d' } as const satisfies Record<RecordKind, string>;

/** Returns the sets that packets fill, by name. What is in them is nobody's to change. */
export function recordSets(): readonly (readonly [string, NftSet])[] {
  return RECORD_PLACES.flatMap((place) => {
    const { flows, last } = nftRecordSetNames(place);
    const { kind, direction, family } = place;
    const what = kind === 'denied' ? 'was refused' : 'would have been refused but for audit mode';
    return [
      [flows, recordSet({ kind, family }, `what ${direction} ${what}`)],
      [last, recordSet({ kind, family }, `the same, by when that was last`)],
    ] as const;
  });
}

function recordSet({ kind, family }: Pick<RecordPlace, 'kind' | 'family'>, comment: string): NftSet {
  const key = `type ${family}_addr . ${family}_addr . inet_proto . inet_service`;
  const type = `${key}; size ${MOST_RECORDS[kind]}; flags dynamic,timeout; timeout ${LIFETIMES[kind]}`;
  return { kind: 'set', type, comment, elements: new Map() };
}
