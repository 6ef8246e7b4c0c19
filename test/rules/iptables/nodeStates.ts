import fc from 'fast-check';
import type { IpFamily } from '../../../src/net/family.ts';
import { parseCidr } from '../../../src/net/cidr.ts';
import type { WantedChains } from '../../../src/rules/iptables/chainPlan.ts';
import type { AttachedPod, PodHooks, PodJudgement } from '../../../src/rules/pod.ts';
import { profile, type Profile } from '../../../src/rules/profile.ts';
import { wantedChains } from '../../../src/rules/iptables/wantedChains.ts';

/** What a node should hold, small enough that two that are drawn have much in common. */
export interface NodeState {
  readonly pods: readonly AttachedPod[];
  readonly profiles: ReadonlyMap<string, Profile>;
}

export const NOTHING: NodeState = { pods: [], profiles: new Map() };

const PROFILES: readonly Profile[] = [
  profile([], 'ingress'),
  profile([], 'egress'),
  profile(
    [{ peers: { kind: 'group', key: 'addresses shop [[],[]]' }, ports: [{ kind: 'any' }], policies: ['shop/p'] }],
    'ingress',
  ),
  profile(
    [{ peers: { kind: 'network', cidr: parseCidr('192.0.2.0/24') }, ports: [{ kind: 'any' }], policies: ['shop/q'] }],
    'egress',
  ),
];

const ADDRESSES: readonly (readonly string[])[] = [
  ['10.0.0.1'],
  ['fd00::1'],
  ['10.0.0.2', 'fd00::2'],
  ['10.0.0.3', '10.0.0.4', 'fd00::3'],
];

const hooks: fc.Arbitrary<PodHooks> = fc
  .record({
    number: fc.nat(3),
    addresses: fc.constantFrom(...ADDRESSES),
    hostInterface: fc.constantFrom('veth1', 'veth2', 'veth3', undefined),
    bridged: fc.boolean(),
  })
  .map(({ number, ...rest }) => ({
    containerId: `c${number}`,
    ifName: 'eth0',
    namespace: 'shop',
    name: `pod-${number}`,
    ...rest,
  }));

const judgement: fc.Arbitrary<PodJudgement> = fc.oneof(
  fc.constant({ kind: 'open' } as const),
  fc.constant({ kind: 'quarantine' } as const),
  fc.constantFrom(...PROFILES).map(({ name }) => ({ kind: 'profile', chain: name }) as const),
);

const pod: fc.Arbitrary<AttachedPod> = fc.record({
  hooks,
  judgements: fc.record({ ingress: judgement, egress: judgement }),
});

/** More pods than may have their hooks at the head of a chain. */
export const CROWD: readonly AttachedPod[] = Array.from({ length: 250 }, (_, index) => ({
  hooks: {
    containerId: `crowd${index}`,
    ifName: 'eth0',
    namespace: 'shop',
    name: `crowd-${index}`,
    addresses: [`10.0.1.${index + 1}`, `fd00:1::${(index + 1).toString(16)}`],
    // The first digit is what tells them apart.
    hostInterface: `veth${(index % 16).toString(16)}${index}`,
    bridged: true,
  },
  judgements: { ingress: { kind: 'open' }, egress: { kind: 'open' } },
}));

/** Any state: pods with the profiles that they name, and some that nobody names. */
export const nodeStates: fc.Arbitrary<NodeState> = fc
  .record({
    pods: fc.uniqueArray(pod, { maxLength: 4, selector: ({ hooks: { containerId } }) => containerId }),
    spare: fc.subarray([...PROFILES]),
    crowd: fc.oneof(fc.constant([]), fc.subarray(CROWD.slice(0, 20))),
  })
  .map(({ pods: drawn, spare, crowd }) => {
    const pods = [...drawn, ...crowd];
    const named = pods
      .flatMap(({ judgements }) => [judgements?.ingress, judgements?.egress])
      .flatMap((one) => (one?.kind === 'profile' ? one.chain : []));
    const profiles = PROFILES.filter((one) => spare.includes(one) || named.includes(one.name));
    return { pods, profiles: new Map(profiles.map((one) => [one.name, one])) };
  });

/** Returns what one family's table should hold in a state. */
export function wantedIn({ pods, profiles }: NodeState, family: IpFamily): WantedChains {
  return wantedChains(pods, { family, profiles });
}
