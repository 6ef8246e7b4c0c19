import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Iptables } from '../../../src/dataplane/iptables/iptables.ts';
import { IptablesKernel } from '../../../src/dataplane/iptables/iptablesKernel.ts';
import { IP_FAMILIES, type IpFamily } from '../../../src/net/family.ts';
import { addressSets } from '../../../src/rules/iptables/addressSet.ts';
import { planChains, withGeneration } from '../../../src/rules/iptables/chainPlan.ts';
import { NOTHING_IN_KERNEL } from '../../../src/rules/iptables/kernelChains.ts';
import { wantedChains } from '../../../src/rules/iptables/wantedChains.ts';
import { FakeNetfilter } from '../../helpers/fakeNetfilter.ts';
import { RestoreTable } from '../../helpers/restoreTable.ts';
import { unbucketed } from '../../helpers/unbucketed.ts';
import { follow, stepLists, type Node, type State } from '../followed.ts';

/** The chains of a table, but for what differs by the way that led there: the places of hooks, the order of profiles, and the generations. */
function settled(table: RestoreTable): ReadonlyMap<string, readonly string[]> {
  const text = (rule: string) => rule.replace(/0x\w+0000\//, '0x…/');
  return new Map(
    [...unbucketed(table.chains)].map(([name, rules]) => {
      const isOrdered = name !== 'NWPLCY-PROFILES';
      if (name === 'KUBE-NWPLCY-CHAIN') return [name, [...new Set(rules.map(text))]];
      return [name, isOrdered ? rules : rules.toSorted()];
    }),
  );
}

function tableIn({ policy, pods }: State, family: IpFamily): RestoreTable {
  const table = new RestoreTable();
  const plan = planChains(NOTHING_IN_KERNEL, wantedChains(pods, { family, profiles: policy.profiles }), family);
  table.commit(withGeneration(plan, { family, mark: { value: 0x10000, mask: 0xffff0000 } }).lines);
  return table;
}

function nodeOn(fake: FakeNetfilter): Node {
  return {
    kernel: new IptablesKernel(IP_FAMILIES.map((family) => new Iptables(family, 'iptables-nft'))),
    fail: () => {
      let isFailing = true;
      fake.failNext(({ input }) =>
        isFailing && !input.includes('-S ') ? { exitCode: 1, stderr: 'no luck\n' } : undefined,
      );
      return () => void (isFailing = false);
    },
    damage: (pick) => {
      const table = fake.tables[IP_FAMILIES[pick % 2] ?? 'ipv4'];
      const chains = [...table.ours().chains.keys()];
      if (chains.length > 0) table.commit([`-F ${chains[pick % chains.length]}`]);
      const names = [...fake.sets.sets].flatMap(([name, members]) => [...members].map((member) => `${name} ${member}`));
      if (names.length > 0) fake.sets.restore([`del ${names[pick % names.length]?.replace(' nomatch', '')}`]);
    },
    expectState: (state) => {
      for (const family of IP_FAMILIES) expect(settled(fake.tables[family])).toEqual(settled(tableIn(state, family)));
      const sets = [...state.policy.groups.values()].flatMap(addressSets);
      expect(fake.sets.sets).toEqual(new Map(sets.map(({ name, members }) => [name, new Set(members)])));
    },
  };
}

test(
  'whatever changes, fails or is damaged, the kernel holds what one would that was brought there from nothing',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(stepLists, async (steps) => {
        const fake = await FakeNetfilter.start();
        try {
          for (const applied of await follow(steps, nodeOn(fake)))
            expect(applied).toEqual({ changed: false, mended: false, closed: false });
        } finally {
          fake.stop();
        }
      }),
      { numRuns: 8 },
    );
  },
);
