import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IP_FAMILIES, type IpFamily } from '../../../src/net/family.ts';
import {
  planChains,
  withGeneration,
  type ChainPlan,
  type WantedChains,
} from '../../../src/rules/iptables/chainPlan.ts';
import { JUMPS, STANDING_CHAINS } from '../../../src/rules/iptables/entryChains.ts';
import { NOTHING_IN_KERNEL, type KernelChains } from '../../../src/rules/iptables/kernelChains.ts';
import { isBucketChain, isPodChain, isProfileChain } from '../../../src/rules/names.ts';
import { targetOf } from '../../../src/rules/iptables/chain.ts';
import { HOOK_CHAINS } from '../../../src/rules/iptables/hooks.ts';
import { podChainNames } from '../../../src/rules/iptables/podRestore.ts';
import { RestoreTable } from '../../helpers/restoreTable.ts';
import { unbucketed } from '../../helpers/unbucketed.ts';
import { CROWD, NOTHING, nodeStates, wantedIn, type NodeState } from './nodeStates.ts';

const MARK = { value: 0x30000, mask: 0xffff0000 };
const FOREIGN = [
  '-N KUBE-FORWARD',
  '-A KUBE-FORWARD -j ACCEPT',
  '-A FORWARD -j KUBE-FORWARD',
  '-A OUTPUT -j KUBE-FORWARD',
];

const families = fc.constantFrom(...IP_FAMILIES);

function foreignTable(): RestoreTable {
  const table = new RestoreTable();
  table.commit(FOREIGN);
  return table;
}

/** Plans and commits as the agent does, and returns the plan as it was before a generation was put into it. */
function bring(
  table: RestoreTable,
  { wanted, family }: { readonly wanted: WantedChains; readonly family: IpFamily },
): ChainPlan {
  const plan = planChains(table.ours(), wanted, family);
  const whole = plan.closes ? withGeneration(plan, { family, mark: MARK }) : plan;
  table.commit(whole.lines);
  expectSame(table.ours(), whole.after);
  return plan;
}

function expectSame(actual: KernelChains, expected: KernelChains): void {
  expect(new Map(actual.chains)).toEqual(new Map(expected.chains));
  expect(actual.jumps).toEqual(expected.jumps);
}

/** A table without what may differ by the way that led to it: the places of hooks, the order of the list of profiles, and generations behind the first. */
function settled(table: RestoreTable): ReadonlyMap<string, readonly string[]> {
  const content = (name: string, rules: readonly string[]) =>
    name === 'KUBE-NWPLCY-CHAIN' ? [...new Set(rules)] : name === 'NWPLCY-PROFILES' ? rules.toSorted() : rules;
  return new Map([...unbucketed(table.chains)].map(([name, rules]) => [name, content(name, rules)]));
}

function tableOf(state: NodeState, family: IpFamily): RestoreTable {
  const table = foreignTable();
  bring(table, { wanted: wantedIn(state, family), family });
  return table;
}

describe('a plan', () => {
  test('from any state to any other does exactly what it says, and then there is nothing more to do', () => {
    fc.assert(
      fc.property(nodeStates, nodeStates, families, (from, to, family) => {
        const table = tableOf(from, family);
        bring(table, { wanted: wantedIn(to, family), family });
        const again = planChains(table.ours(), wantedIn(to, family), family);
        expect([again.lines, again.closes]).toEqual([[], false]);
        expect(settled(table)).toEqual(settled(tableOf(to, family)));
      }),
      { numRuns: 300 },
    );
  });

  test('leaves what is not ours as it is, with our jump before it', () => {
    fc.assert(
      fc.property(nodeStates, families, (state, family) => {
        const table = tableOf(state, family);
        table.commit(['-I FORWARD -s 203.0.113.0/24 -j DROP', '-I OUTPUT -d 203.0.113.0/24 -j DROP']);
        bring(table, { wanted: wantedIn(state, family), family });
        expect(table.rules('FORWARD')).toEqual([JUMPS.FORWARD, '-s 203.0.113.0/24 -j DROP', '-j KUBE-FORWARD']);
        expect(table.rules('OUTPUT').filter((rule) => rule !== JUMPS.OUTPUT)).toEqual([
          '-d 203.0.113.0/24 -j DROP',
          '-j KUBE-FORWARD',
        ]);
        expect(table.rules('KUBE-FORWARD')).toEqual(['-j ACCEPT']);
      }),
    );
  });

  test('leads a forger to his own chain first: every hook by interface stands before every one by source', () => {
    fc.assert(
      fc.property(fc.array(nodeStates, { minLength: 1, maxLength: 4 }), families, (states, family) => {
        const table = foreignTable();
        for (const state of states) bring(table, { wanted: wantedIn(state, family), family });
        // Sources are looked for in a chain of their own, which `unbucketed` finds to be led to last.
        const { chains } = table.ours();
        const isOfSources = (name: string) => /^NWPLCY-(?:SOURCES|BS-.)$/.test(name);
        const bySource = [...chains].filter(([, rules]) =>
          rules.some((rule) => /^-s .* -g NWPLCY-(?:PE|BS)-/.test(rule)),
        );
        expect(bySource.filter(([name]) => !isOfSources(name))).toEqual([]);
        expect(unbucketed(chains).size).toBeGreaterThan(0);
      }),
    );
  });

  test('names nothing that is not there yet, and takes nothing away that is still in use: it is one transaction in an empty table too', () => {
    fc.assert(
      fc.property(nodeStates, families, (state, family) => {
        const plan = planChains(NOTHING_IN_KERNEL, wantedIn(state, family), family);
        const table = new RestoreTable();
        table.commit(withGeneration(plan, { family, mark: MARK }).lines);
        expect(table.rules('FORWARD')).toEqual([JUMPS.FORWARD]);
      }),
    );
  });
});

// Depend on the present state, not on how it came about: each list of states is also gone through in other ways.
describe('a list of states ends in its last one', () => {
  const ways: Readonly<Record<string, (states: readonly NodeState[]) => readonly NodeState[]>> = {
    'as it is': (states) => states,
    reversed: (states) => states.toReversed(),
    'each state twice': (states) => states.flatMap((state) => [state, state]),
    'the whole list twice': (states) => [...states, ...states],
    'there and back': (states) => [...states, ...states.toReversed()],
    'with nothing between': (states) => states.flatMap((state) => [NOTHING, state]),
    squashed: (states) => states.slice(-1),
    'profiles before pods': (states) => states.flatMap((state) => [{ ...state, pods: [] }, state]),
  };
  test.for(Object.entries(ways))('%s', ([, expand]) => {
    fc.assert(
      fc.property(fc.array(nodeStates, { minLength: 1, maxLength: 4 }), families, (states, family) => {
        const steps = expand(states);
        const table = foreignTable();
        for (const step of steps) bring(table, { wanted: wantedIn(step, family), family });
        expect(settled(table)).toEqual(settled(tableOf(steps.at(-1) ?? NOTHING, family)));
      }),
      { numRuns: 50 },
    );
  });
});

describe('what closes', () => {
  test('a change of profiles that no pod is judged by closes nothing', () => {
    fc.assert(
      fc.property(nodeStates, nodeStates, families, (state, other, family) => {
        const named = new Set(
          state.pods
            .flatMap(({ judgements }) => [judgements?.ingress, judgements?.egress])
            .flatMap((one) => (one?.kind === 'profile' ? one.chain : [])),
        );
        const profiles = new Map([...other.profiles, ...[...state.profiles].filter(([name]) => named.has(name))]);
        const table = tableOf(state, family);
        const plan = bring(table, { wanted: wantedIn({ ...state, profiles }, family), family });
        expect(plan.closes).toBe(false);
      }),
    );
  });

  test('a pod that comes, goes or is judged otherwise closes', () => {
    fc.assert(
      fc.property(nodeStates, nodeStates, families, (from, to, family) => {
        const table = tableOf(from, family);
        const wanted = wantedIn(to, family);
        const podText = ({ podChains, hooks }: WantedChains) =>
          JSON.stringify([
            [...podChains].map((chain) => JSON.stringify(chain)).toSorted(),
            Object.values(hooks).map((own) => own.map(({ rule }) => rule).toSorted()),
          ]);
        // A hook whose chain goes with it, or a chain whose hooks do, is a change of either.
        const isChanged = podText(wantedIn(from, family)) !== podText(wanted);
        expect(bring(table, { wanted, family }).closes).toBe(isChanged);
      }),
    );
  });

  const damages: Readonly<Record<string, (table: RestoreTable) => readonly string[]>> = {
    'FORWARD was flushed': () => ['-F FORWARD'],
    'OUTPUT was flushed': () => ['-F OUTPUT'],
    'another rule was put before our jump': () => ['-I FORWARD -j ACCEPT'],
    'our jump stands twice in FORWARD': () => [`-A FORWARD ${JUMPS.FORWARD}`],
    'our jump stands twice in OUTPUT': () => [`-A OUTPUT ${JUMPS.OUTPUT}`],
    'our jump stands last in FORWARD': () => [`-D FORWARD ${JUMPS.FORWARD}`, `-A FORWARD ${JUMPS.FORWARD}`],
    'the entry chain was emptied': () => ['-F KUBE-NWPLCY-CHAIN'],
    'a rule was put into the entry chain': () => ['-I KUBE-NWPLCY-CHAIN -j RETURN'],
    'the reject chain was emptied': () => ['-F NWPLCY-REJECT'],
    'the reject chain was softened': () => ['-I NWPLCY-REJECT -s 10.0.0.1/32 -j RETURN'],
    'a rule was put before the hooks': () => ['-I NWPLCY-SOURCES -s 10.0.0.1/32 -j RETURN'],
    'the whole table was flushed, the chains left': (table) => [...table.chains.keys()].map((name) => `-F ${name}`),
    'our chains are gone altogether': (table) => {
      const ours = [...table.ours().chains.keys()];
      return [
        `-D FORWARD ${JUMPS.FORWARD}`,
        `-D OUTPUT ${JUMPS.OUTPUT}`,
        ...ours.map((name) => `-F ${name}`),
        ...ours.map((name) => `-X ${name}`),
      ];
    },
  };
  test.for(Object.entries(damages))('a repair closes: %s', ([, damage]) => {
    fc.assert(
      fc.property(nodeStates, families, (state, family) => {
        const table = tableOf(state, family);
        const whole = settled(table);
        table.commit(damage(table));
        const plan = bring(table, { wanted: wantedIn(state, family), family });
        expect(plan.closes).toBe(true);
        const ours = ([name]: readonly [string, unknown]) =>
          STANDING_CHAINS.includes(name) || isPodChain(name) || isProfileChain(name) || isBucketChain(name);
        expect(new Map([...settled(table)].filter(ours))).toEqual(new Map([...whole].filter(ours)));
        expect(table.rules('FORWARD').indexOf(JUMPS.FORWARD)).toBe(0);
        expect(table.rules('OUTPUT').filter((rule) => rule === JUMPS.OUTPUT)).toHaveLength(1);
      }),
      { numRuns: 30 },
    );
  });

  test('whatever rule of ours is taken out or doubled, the repair closes and is whole', () => {
    fc.assert(
      fc.property(nodeStates, families, fc.tuple(fc.nat(), fc.boolean()), (state, family, [pick, isDoubled]) => {
        const table = tableOf(state, family);
        const whole = settled(table);
        const rules = [...table.ours().chains]
          .filter(([name]) => name !== 'NWPLCY-PROFILES')
          .flatMap(([name, own]) => own.map((rule) => `${name} ${rule}`));
        const hit = rules[pick % rules.length];
        table.commit([`-${isDoubled ? 'A' : 'D'} ${hit}`]);
        expect(bring(table, { wanted: wantedIn(state, family), family }).closes).toBe(true);
        expect(settled(table)).toEqual(whole);
      }),
      { numRuns: 200 },
    );
  });
});

describe('hooks', () => {
  const crowd = (count: number): NodeState => ({ ...NOTHING, pods: CROWD.slice(0, count) });
  const at = (table: RestoreTable, chain: string) => table.rules(chain).filter((rule) => rule.includes('shop/crowd'));

  test('stand at the head while there are few, move into buckets when there are more, and stay there when pods go', () => {
    const table = tableOf(crowd(8), 'ipv4');
    expect(HOOK_CHAINS.map((chain) => at(table, chain).length)).toEqual([8, 8, 8]);
    bring(table, { wanted: wantedIn(crowd(9), 'ipv4'), family: 'ipv4' });
    expect(HOOK_CHAINS.map((chain) => at(table, chain).length)).toEqual([0, 0, 0]);
    bring(table, { wanted: wantedIn(crowd(3), 'ipv4'), family: 'ipv4' });
    expect(HOOK_CHAINS.map((chain) => at(table, chain).length)).toEqual([0, 0, 0]);
    expect(settled(table)).toEqual(settled(tableOf(crowd(3), 'ipv4')));
    bring(table, { wanted: wantedIn(NOTHING, 'ipv4'), family: 'ipv4' });
    expect(settled(table)).toEqual(settled(tableOf(NOTHING, 'ipv4')));
    expect([...table.chains.keys()].filter(isBucketChain)).toEqual([]);
  });

  // What a packet looks through on its way to its pod is what this is for.
  test('of 250 pods are found behind few rules', () => {
    const table = tableOf(crowd(250), 'ipv4');
    const longest = (kind: string) =>
      Math.max(...[...table.chains].flatMap(([name, rules]) => (name.startsWith(kind) ? rules.length : [])));
    expect(HOOK_CHAINS.map((chain) => table.rules(chain).length)).toEqual([17, 16, 16]);
    expect(['NWPLCY-BE-', 'NWPLCY-BS-', 'NWPLCY-BI-'].map(longest)).toEqual([17, 16, 16]);
  });

  test('of a pod whose ADD or DEL is under way stay where they are, and so does the bucket that holds one', () => {
    const table = tableOf(crowd(9), 'ipv4');
    const [first] = CROWD;
    if (first === undefined) throw new Error('There is no crowd');
    const own = podChainNames(first.hooks);
    const before = [...table.chains]
      .filter(([, rules]) => rules.some((rule) => own.includes(targetOf(rule))))
      .map(([name]) => name);
    const wanted = { ...wantedIn(NOTHING, 'ipv4'), pending: new Set(own) };
    bring(table, { wanted, family: 'ipv4' });
    expect([...table.chains.keys()].filter(isBucketChain).toSorted()).toEqual(before.toSorted());
    expect(before).toHaveLength(3);
    expect(unbucketed(table.chains).get('NWPLCY-INGRESS')).toHaveLength(1);
  });

  test('that somebody has put out of order are put right', () => {
    const table = tableOf(crowd(20), 'ipv4');
    const whole = settled(table);
    const [jump] = table.rules('NWPLCY-EGRESS');
    table.commit([
      '-D NWPLCY-EGRESS -g NWPLCY-SOURCES',
      '-I NWPLCY-EGRESS -g NWPLCY-SOURCES',
      `-D NWPLCY-EGRESS ${jump}`,
    ]);
    expect(bring(table, { wanted: wantedIn(crowd(20), 'ipv4'), family: 'ipv4' }).closes).toBe(true);
    expect(settled(table)).toEqual(whole);
  });
});

// A program whose transaction deletes waits until no processor looks at what goes.
test('a generation that begins where nothing else changes deletes nothing, until ten stand one behind the other', () => {
  fc.assert(
    fc.property(nodeStates, families, (state, family) => {
      const table = tableOf(state, family);
      const wanted = wantedIn(state, family);
      const length = table.rules('KUBE-NWPLCY-CHAIN').length;
      const deletions = Array.from({ length: 11 }, () => {
        const plan = planChains(table.ours(), wanted, family);
        const { lines, after } = withGeneration(plan, { family, mark: MARK });
        table.commit(lines);
        expectSame(table.ours(), after);
        return lines.some((line) => line.startsWith('-F'));
      });
      expect(deletions).toEqual([...Array(9).fill(false), true, false]);
      expect(table.rules('KUBE-NWPLCY-CHAIN')).toHaveLength(2 * length);
    }),
    { numRuns: 20 },
  );
});

test('a pod that is being added or deleted by somebody else is not touched, nor are its hooks', () => {
  fc.assert(
    fc.property(nodeStates, nodeStates, families, (from, to, family) => {
      const table = tableOf(from, family);
      const [first] = from.pods;
      fc.pre(first !== undefined);
      const own = podChainNames(first.hooks);
      const of = () => ({
        chains: own.map((name) => table.chains.get(name)),
        hooks: [...table.chains]
          .map(([chain, rules]) =>
            rules.filter((rule) => own.some((name) => rule.endsWith(name))).map((rule) => `${chain} ${rule}`),
          )
          .flat(),
      });
      const before = of();
      // Its profile stays: whoever fills the pod's chain needs it.
      const profiles = new Map([...from.profiles, ...to.profiles]);
      const others = { profiles, pods: to.pods.filter(({ hooks }) => hooks.containerId !== first.hooks.containerId) };
      const wanted = { ...wantedIn(others, family), pending: new Set(own) };
      const plan = bring(table, { wanted, family });
      expect(of()).toEqual(before);
      expect(plan.lines.filter((line) => own.some((name) => line.includes(name)))).toEqual([]);
      expect(planChains(table.ours(), wanted, family).lines).toEqual([]);
    }),
  );
});

test('a profile that a pod being added is judged by stays until that pod is settled', () => {
  fc.assert(
    fc.property(nodeStates, families, (from, family) => {
      const table = tableOf(from, family);
      const [first] = from.pods;
      fc.pre(first !== undefined);
      const rest = { profiles: new Map(), pods: [] };
      const plan = bring(table, {
        wanted: { ...wantedIn(rest, family), pending: new Set(podChainNames(first.hooks)) },
        family,
      });
      expect(plan.after.chains.size).toBeGreaterThanOrEqual(STANDING_CHAINS.length);
      bring(table, { wanted: wantedIn(rest, family), family });
      expect(settled(table)).toEqual(settled(tableOf(NOTHING, family)));
    }),
  );
});

// What each packet of a new flow and each transaction cost: a change here is a decision.
test('the rules that a pod costs', () => {
  const count = (addresses: readonly string[], family: IpFamily) => {
    const hooks = {
      containerId: 'c',
      ifName: 'eth0',
      namespace: 'shop',
      name: 'web',
      addresses,
      hostInterface: 'veth1',
      bridged: true,
    };
    const judgements = { ingress: { kind: 'open' }, egress: { kind: 'open' } } as const;
    const { podChains, hooks: hooking } = wantedIn({ pods: [{ hooks, judgements }], profiles: new Map() }, family);
    return {
      interfaceHooks: hooking['NWPLCY-EGRESS'].length,
      sourceHooks: hooking['NWPLCY-SOURCES'].length,
      destinationHooks: hooking['NWPLCY-INGRESS'].length,
      own: [...podChains.values()].map((rules) => rules.length),
    };
  };
  expect(count(['10.0.0.1'], 'ipv4')).toEqual({ interfaceHooks: 1, sourceHooks: 1, destinationHooks: 1, own: [2, 3] });
  expect(count(['10.0.0.1'], 'ipv6')).toEqual({ interfaceHooks: 1, sourceHooks: 0, destinationHooks: 0, own: [1] });
  expect(count(['10.0.0.1', '10.0.0.2'], 'ipv4')).toEqual({
    interfaceHooks: 1,
    sourceHooks: 2,
    destinationHooks: 2,
    own: [3, 5],
  });
});
