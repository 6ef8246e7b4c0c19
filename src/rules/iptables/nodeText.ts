import { IP_FAMILIES, type IpFamily } from '../../net/family.ts';
import { printable } from '../../net/quote.ts';
import { planChains, withGeneration } from './chainPlan.ts';
import { planIpsets } from './ipsetPlan.ts';
import { NOTHING_IN_KERNEL } from './kernelChains.ts';
import { DEFAULT_MARK_MASK, generationMark } from '../mark.ts';
import {
  EGRESS_CHAIN,
  END_CHAINS,
  ENTRY_CHAIN,
  INGRESS_CHAIN,
  podChainName,
  PROFILES_CHAIN,
  REJECT_CHAIN,
  setName,
  SOURCES_CHAIN,
} from '../names.ts';
import { addressSets } from './addressSet.ts';
import { podHookRules } from './hooks.ts';
import { HeldSets } from '../heldSets.ts';
import { judgedBy } from '../judgedBy.ts';
import type { AttachedPod } from '../pod.ts';
import { profileChains } from './profileChain.ts';
import { restoreText, type RestoreLines } from './podRestore.ts';
import type { WantedPolicy } from '../wanted.ts';
import { wantedChains } from './wantedChains.ts';
import { recordSetLines } from './endChains.ts';
import { DIRECTIONS, RECORD_PLACES } from '../flowRecords.ts';

/** The texts that bring up a node which holds nothing of ours: the sets first, then each family's rules. */
export interface NodeText {
  /** For `ipset restore -exist`. */
  readonly ipset: string;
  /** For `iptables-restore --noflush` and `ip6tables-restore --noflush`. */
  readonly rules: Readonly<Record<IpFamily, string>>;
}

export interface NodeContent {
  readonly policy: WantedPolicy;
  readonly pods: readonly AttachedPod[];
}

/** Returns what an agent writes into a kernel where it finds nothing, with comments that say what each set and chain is. */
export function nodeText({ policy, pods }: NodeContent): NodeText {
  const groups = [...policy.groups.values()];
  const { changes } = new HeldSets(addressSets).plan(policy.groups);
  const setNotes = new Map(
    groups.flatMap(({ key }) => IP_FAMILIES.map((family) => [setName(family, key), key] as const)),
  );
  const notes = chainNotes({ policy, pods });
  const rulesOf = (family: IpFamily) => {
    const chains = wantedChains(pods, { family, profiles: policy.profiles });
    const plan = planChains(NOTHING_IN_KERNEL, chains, family);
    const { lines } = withGeneration(plan, { family, mark: generationMark(1, DEFAULT_MARK_MASK) });
    return restoreText(withNotes(lines, /^(?::|-N )(\S+)/, notes));
  };
  return {
    ipset: lineText(
      withNotes([...RECORD_PLACES.flatMap(recordSetLines), ...planIpsets(changes).fill], /^create (\S+)/, setNotes),
    ),
    rules: { ipv4: rulesOf('ipv4'), ipv6: rulesOf('ipv6') },
  };
}

function lineText(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

/** Both programs pass over a line that begins with `#`, inside a table too. */
function withNotes(lines: RestoreLines, named: RegExp, notes: ReadonlyMap<string, string>): RestoreLines {
  return lines.flatMap((line) => {
    const note = notes.get(named.exec(line)?.[1] ?? '');
    return note === undefined ? [line] : [`# ${printable(note)}`, line];
  });
}

function chainNotes({ policy, pods }: NodeContent): ReadonlyMap<string, string> {
  const notes = new Map(STANDING);
  const parts = [...policy.profiles.values()].flatMap((profile) =>
    IP_FAMILIES.flatMap((family) => profileChains(profile, family)),
  );
  for (const { name } of parts) notes.set(name, 'a part of profiles, for some of their ports');
  const judged = judgedBy(policy);
  for (const name of policy.profiles.keys()) notes.set(name, `the profile of ${(judged.get(name) ?? []).join(', ')}`);
  for (const { hooks } of pods) {
    notes.set(podChainName('ingress', hooks), `what goes to ${hooks.namespace}/${hooks.name}`);
    notes.set(podChainName('egress', hooks), `what comes from ${hooks.namespace}/${hooks.name}`);
    for (const { chain, bucket } of IP_FAMILIES.flatMap((family) => podHookRules(hooks, family)))
      if (bucket !== undefined) notes.set(bucket.name, `what ${chain} would hold if there were few pods`);
  }
  return notes;
}

const STANDING: readonly (readonly [string, string])[] = [
  [REJECT_CHAIN, 'where every refusal ends'],
  ...DIRECTIONS.flatMap((direction) => [
    [END_CHAINS.denied[direction], `notes down what ${direction} is refused, and refuses it`] as const,
    [
      END_CHAINS.audited[direction],
      `notes down what ${direction} would be refused but for audit mode, and lets it pass`,
    ] as const,
  ]),
  [PROFILES_CHAIN, 'names every profile; nothing goes through it'],
  [EGRESS_CHAIN, 'leads packets to the chain of the pod that they come from, by its interface'],
  [SOURCES_CHAIN, 'leads packets to the chain of the pod that they come from, by its address'],
  [INGRESS_CHAIN, 'leads packets to the chain of the pod that they go to'],
  [ENTRY_CHAIN, 'the entry: flows that were judged under this generation go on at once'],
];
