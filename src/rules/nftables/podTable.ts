import { familyOf } from '../../net/family.ts';
import type { Direction } from '../../kube/networkPolicy.ts';
import type { PodHooks, PodJudgement, PodJudgements } from '../pod.ts';
import { nftPodChainNames, nftProfileChainName, NFT_END_CHAINS } from './names.ts';
import { nftComment, type NftChain, type NftFamily, type NftRule } from './table.ts';

/** What is one pod's own in both tables. */
export interface PodTable {
  /** In the `inet` table, by name. */
  readonly chains: ReadonlyMap<string, NftChain>;
  readonly elements: readonly PodElement[];
}

/** One element of a set, as `NftSet` holds it. */
export interface PodElement {
  readonly family: NftFamily;
  readonly set: string;
  readonly key: string;
  readonly rest: string;
}

/**
 * Returns what hooks a pod in under these judgements: a chain for each direction, an element that leads there for each address and direction, and
 * the lock of its sources where its interface is known.
 */
export function podTable(hooks: PodHooks, judgements: PodJudgements): PodTable {
  const { to, from } = nftPodChainNames(hooks);
  const name = `${hooks.namespace}/${hooks.name}`;
  return {
    chains: new Map([
      [to, { comment: `to ${name}`, rules: podRules(hooks, { direction: 'ingress', judgement: judgements.ingress }) }],
      [
        from,
        { comment: `from ${name}`, rules: podRules(hooks, { direction: 'egress', judgement: judgements.egress }) },
      ],
    ]),
    elements: [...hookElements(hooks), ...lockElements(hooks), ...isolatedElements(hooks, judgements)],
  };
}

/** A pod cannot block itself; whatever else goes past it is judged. */
function podRules(
  { addresses }: PodHooks,
  { direction, judgement }: { readonly direction: Direction; readonly judgement: PodJudgement },
): readonly NftRule[] {
  const own = direction === 'ingress' ? 'saddr' : 'daddr';
  const self = addresses.map((address) => `${PROTOCOLS[familyOf(address)]} ${own} ${address} return`);
  switch (judgement.kind) {
    case 'open':
      return self;
    case 'profile':
    case 'audit':
      return [...self, `goto ${nftProfileChainName(judgement.chain)}`];
    case 'quarantine':
      return [...self, `goto ${NFT_END_CHAINS.denied[direction]}`];
  }
}

const PROTOCOLS = { ipv4: 'ip', ipv6: 'ip6' } as const;
const DIGITS = { ipv4: 4, ipv6: 6 } as const;

function hookElements(hooks: PodHooks): readonly PodElement[] {
  const { to, from } = nftPodChainNames(hooks);
  const note = nftComment(`${hooks.namespace}/${hooks.name}`);
  return hooks.addresses.flatMap((address) => {
    const digit = DIGITS[familyOf(address)];
    return [
      { family: 'inet', set: `ingress${digit}`, key: address, rest: ` ${note} : goto ${to}` },
      { family: 'inet', set: `egress${digit}`, key: address, rest: ` ${note} : goto ${from}` },
    ] as const;
  });
}

/** Broadcasts and multicasts over a bridge do not tell by their destination whom they reach. */
function isolatedElements({ hostInterface, bridged }: PodHooks, { ingress }: PodJudgements): readonly PodElement[] {
  if (hostInterface === undefined || !bridged || !isRefusing(ingress)) return [];
  return [{ family: 'bridge', set: 'isolated', key: `"${hostInterface}"`, rest: '' }];
}

function isRefusing({ kind }: PodJudgement): boolean {
  return kind === 'profile' || kind === 'quarantine';
}

/** Packets of a port of a bridge are looked at before the bridge decides where they go, others before they are routed. */
function lockElements({ hostInterface, bridged, addresses }: PodHooks): readonly PodElement[] {
  if (hostInterface === undefined) return [];
  const family = bridged ? 'bridge' : 'inet';
  const port = `"${hostInterface}"`;
  const sources = addresses.map(
    (address) =>
      ({
        family,
        set: `sources${DIGITS[familyOf(address)]}`,
        key: `${port} . ${address}`,
        rest: '',
      }) as const,
  );
  return [{ family, set: 'interfaces', key: port, rest: '' }, ...sources];
}
