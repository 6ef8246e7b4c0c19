import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { STANDING_TABLES } from '../../../src/rules/nftables/standing.ts';
import { planTables } from '../../../src/rules/nftables/plan.ts';
import { NftRuleset } from '../../helpers/nftRuleset.ts';
import { listedBlocks, readTables, settledBlocks } from '../../helpers/nftNode.ts';
import { carryOut, nodeIn, nodeStateLists, NOTHING_READ, NOTHING_UNTOUCHED, planTo } from './nodeStates.ts';

const NOTHING_TO_DO = { commands: [], closes: false };

describe('a plan from state to state', () => {
  test(
    'ends in what a node holds that was brought there from nothing, and then there is nothing more to do',
    { timeout: 60_000 },
    () => {
      fc.assert(
        fc.property(nodeStateLists, fc.boolean(), (states, rereads) => {
          const ruleset = new NftRuleset();
          let known = NOTHING_READ;
          for (const state of states) {
            known = carryOut(ruleset, planTo(state, rereads ? readTables(ruleset) : known)).after;
            expect(settledBlocks(ruleset)).toEqual(settledBlocks(nodeIn(state)));
            expect(planTo(state, known)).toMatchObject(NOTHING_TO_DO);
            expect(planTo(state, readTables(ruleset))).toMatchObject(NOTHING_TO_DO);
          }
        }),
        { numRuns: 60 },
      );
    },
  );

  test('is one transaction from nothing, in which nothing is led to before it is there', () => {
    const ruleset = new NftRuleset();
    const plan = planTables(NOTHING_READ, { wanted: STANDING_TABLES, untouched: NOTHING_UNTOUCHED, toMake: [] });
    expect(plan.closes).toBe(true);
    carryOut(ruleset, plan);
    expect([...listedBlocks(ruleset).keys()].toSorted()).toEqual(
      (['bridge', 'inet'] as const).flatMap((family) =>
        [...STANDING_TABLES[family].sets.keys(), ...STANDING_TABLES[family].chains.keys()]
          .map((name) => `${family} ${name}`)
          .toSorted(),
      ),
    );
  });
});
