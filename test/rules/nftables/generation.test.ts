import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bringUpCommands } from '../../../src/rules/nftables/bringUp.ts';
import {
  isGenerationChain,
  raiseCommands,
  repeatedGeneration,
  withGeneration,
} from '../../../src/rules/nftables/generation.ts';
import { planTables } from '../../../src/rules/nftables/plan.ts';
import { STANDING_TABLES } from '../../../src/rules/nftables/standing.ts';
import { generationMark, type Mark } from '../../../src/rules/mark.ts';
import { commit, readTables } from '../../helpers/nftNode.ts';
import { NftRuleset } from '../../helpers/nftRuleset.ts';
import { traceNft } from '../../helpers/traceNft.ts';
import { packet } from '../../helpers/packet.ts';
import { NOTHING_UNTOUCHED } from './nodeStates.ts';

/** Returns the rules that begin a generation, by chain. */
function rulesOf(mark: Mark): Readonly<Record<'judged' | 'settle', readonly string[]>> {
  const { inet } = readTables(raised([mark]));
  const first = (name: string) => inet?.chains.get(name)?.rules.slice(0, 2) ?? [];
  return { judged: first('judged'), settle: first('settle') };
}

const masks = fc.constantFrom(0xffff0000, 0x00ff0000, 0x0000ff00, 0xff000000, 0x7fffffff, 0xfffffffe, 0x000ff000);
const marks: fc.Arbitrary<Mark> = fc
  .tuple(fc.nat(1_000_000), masks)
  .map(([generation, mask]) => generationMark(generation, mask));

function raised(all: readonly Mark[]): NftRuleset {
  const ruleset = new NftRuleset();
  commit(ruleset, bringUpCommands({ value: 0x10000, mask: 0xffff0000 }));
  for (const mark of all) commit(ruleset, raiseCommands(mark));
  return ruleset;
}

describe('a generation', { timeout: 60_000 }, () => {
  test('marks with its own value what passes, and leaves the bits that are not ours', () => {
    fc.assert(
      fc.property(marks, fc.nat(0xffffffff), (mark, connmark) => {
        const foreign = (connmark & ~mark.mask) >>> 0;
        const trace = traceNft(raised([mark]), packet({ connmark }));
        expect([trace.verdict, trace.mark]).toEqual(['accept', (foreign | mark.value) >>> 0]);
      }),
    );
  });

  test('knows its own flows, and none of any other generation', () => {
    fc.assert(
      fc.property(marks, marks, fc.nat(0xffffffff), ({ value, mask }, other, noise) => {
        const ruleset = raised([other, { value, mask }]);
        const judged = (connmark: number) =>
          !traceNft(ruleset, packet({ connmark, ctstate: 'ESTABLISHED' })).matchedRules.some((rule) =>
            rule.includes('ct mark set'),
          );
        const foreign = (noise & ~mask) >>> 0;
        expect(judged((foreign | value) >>> 0)).toBe(true);
        expect(judged(noise)).toBe((noise & mask) >>> 0 === value);
      }),
    );
  });

  test('is recognised, also with older ones behind it, as long as they are not too many', () => {
    fc.assert(
      fc.property(fc.array(marks, { maxLength: 14 }), (all) => {
        const tables = readTables(raised(all));
        const plan = planTables(tables, { wanted: STANDING_TABLES, untouched: NOTHING_UNTOUCHED, toMake: [] });
        expect([plan.closes, plan.commands.length === 0]).toEqual(all.length < 10 ? [false, true] : [true, false]);
      }),
    );
  });

  test('never stands before more than nine: chains do not grow without end', () => {
    const ruleset = raised([]);
    for (let generation = 2; generation < 40; generation += 1) {
      const plan = planTables(readTables(ruleset), {
        wanted: STANDING_TABLES,
        untouched: NOTHING_UNTOUCHED,
        toMake: [],
      });
      const whole = withGeneration(plan, generationMark(generation, 0xffff0000));
      commit(ruleset, whole.commands);
      const { inet } = readTables(ruleset);
      const rules = inet?.chains.get('judged')?.rules ?? [];
      expect(rules.length).toBeLessThanOrEqual(20);
      expect(inet?.chains.get('settle')?.rules[0]).toBe(rulesOf(generationMark(generation, 0xffff0000)).settle[0]);
      expect(whole.after.inet.chains.get('judged')?.rules.length).toBe(rules.length);
    }
  });

  test('of an ADD is known by how many rules there are', () => {
    const { judged } = rulesOf({ value: 0x10000, mask: 0xffff0000 });
    expect(repeatedGeneration(judged)).toEqual([...judged, ...judged]);
  });
});

describe('a chain of generations that somebody has spoilt is none', () => {
  const { judged, settle } = rulesOf({ value: 0x10000, mask: 0xffff0000 });
  const [first = '', end = ''] = judged;

  test.for([
    { what: 'empty', rules: [] },
    { what: 'without its end', rules: [first] },
    { what: 'the wrong way round', rules: [end, first] },
    { what: 'with something before', rules: ['accept', ...judged] },
    { what: 'with something behind', rules: [...judged, 'accept', 'return'] },
    { what: 'that accepts more', rules: [first.replace(' accept', ' counter accept'), end] },
    { what: 'of the other chain', rules: settle },
  ])('$what', ({ rules }) => {
    expect(isGenerationChain('judged', rules)).toBe(false);
  });

  test.for([judged, [...judged, ...judged], ['ct mark 0x00010000/16 accept', 'return']])('but %j is one', (rules) => {
    expect(isGenerationChain('judged', rules)).toBe(true);
  });
});
