import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { at, type NftFamily } from '../../../src/rules/nftables/table.ts';
import { listedBlocks, readTables, settledBlocks } from '../../helpers/nftNode.ts';
import type { NftRuleset } from '../../helpers/nftRuleset.ts';
import { RefusedError } from '../../helpers/restoreTable.ts';
import { carryOut, nodeIn, nodeStateLists, planTo } from './nodeStates.ts';

const THING = ['chain', 'set', 'map'] as const;

/** What somebody else does to one of our tables: `what` picks the deed, the others the things that it is done to. */
interface Deed {
  readonly what: number;
  readonly one: number;
  readonly other: number;
}

const deeds: fc.Arbitrary<readonly Deed[]> = fc.array(
  fc.record({ what: fc.nat(99), one: fc.nat(999), other: fc.nat(999) }),
  { minLength: 1, maxLength: 12 },
);

/** Returns the text of a deed; much of what is drawn the kernel refuses. */
function textOf({ what, one, other }: Deed, ruleset: NftRuleset): string {
  const blocks = [...listedBlocks(ruleset)].filter(([, block]) =>
    THING.some((thing) => block.startsWith(`\t${thing} `)),
  );
  const family = (what % 3 === 0 ? 'bridge' : 'inet') satisfies NftFamily;
  const pick = (thing: string, number: number) => {
    const named = blocks.filter(([name, block]) => name.startsWith(`${family} `) && block.startsWith(`\t${thing} `));
    // Most sets are those that packets fill, and rules always name these.
    const names = other % 2 === 0 ? named : named.filter(([name]) => !/ (?:denied|audited)-/.test(name));
    const [name = 'none none', block = ''] = names[number % Math.max(1, names.length)] ?? [];
    return { name: name.slice(family.length + 1), block };
  };
  const chain = pick('chain', one).name;
  const chain2 = pick('chain', other).name;
  const set = pick('set', one);
  const map = pick('map', one);
  const key = (block: string) => /elements = \{ (.+?)(?: comment| :|,| \})/.exec(block)?.[1] ?? '10.0.0.1';
  const element = [
    '203.0.113.1',
    '203.0.113.0/28',
    '203.0.113.1 . 80',
    '"eth9" . 203.0.113.1',
    '"eth9"',
    '2001:db8::9',
  ][other % 6];
  const deedsHere = [
    `add rule ${at(family, chain)} ${['drop', 'accept', 'return', `jump ${chain2}`][other % 4]}`,
    `insert rule ${at(family, chain)} ${['drop', 'accept', 'return', `goto ${chain2}`][other % 4]} comment "a, b } : c"`,
    `flush chain ${at(family, chain)}`,
    `add chain ${at(family, `own${one % 3}`)} { comment "x"; }\nadd rule ${at(family, `own${one % 3}`)} jump ${chain2}`,
    `add chain ${at(family, `base${one % 3}`)} { type filter hook forward priority ${other % 40}; policy drop; }`,
    `add chain ${at(family, chain)} { policy drop; }`,
    `add set ${at(family, `own${one % 3}`)} { type ipv4_addr; }\nadd rule ${at(family, chain2)} ip saddr @own${one % 3} drop`,
    `add map ${at(family, `lead${one % 3}`)} { type ipv4_addr : verdict; }\nadd element ${at(family, `lead${one % 3}`)} { 10.9.9.9 : goto ${chain2} }`,
    `add rule ${at(family, chain)} ip saddr vmap @${map.name}`,
    `add element ${at(family, set.name)} { ${element} }`,
    `add element ${at(family, map.name)} { ${element} comment "a, b" : ${other % 2 === 0 ? 'accept' : `jump ${chain2}`} }`,
    `delete element ${at(family, set.name)} { ${key(set.block)} }`,
    `delete element ${at(family, map.name)} { ${key(map.block)} }`,
    `delete element ${at(family, map.name)} { ${key(map.block)} }\nadd element ${at(family, map.name)} { ${key(map.block)} : drop }`,
    `delete element ${at(family, map.name)} { ${key(map.block)} }\nadd element ${at(family, map.name)} { ${key(map.block)} : goto ${chain2} }`,
    `flush set ${at(family, set.name)}`,
    `flush map ${at(family, map.name)}`,
    `flush chain ${at(family, chain)}\ndelete chain ${at(family, chain)}`,
    `delete set ${at(family, set.name)}`,
    `flush table ${at(family)}\ndelete map ${at(family, map.name)}`,
    `flush table ${at(family)}\ndelete set ${at(family, set.name)}\nadd set ${at(family, set.name)} { type inet_service; }`,
    `flush table ${at(family)}`,
    `delete table ${at(family)}`,
  ];
  return deedsHere[what % deedsHere.length] ?? '';
}

/** Does what the kernel lets anybody do, and returns it. */
function spoil(ruleset: NftRuleset, list: readonly Deed[]): readonly string[] {
  return list.flatMap((deed) => {
    const text = textOf(deed, ruleset);
    try {
      ruleset.commit(text);
      return [text];
    } catch (error) {
      if (error instanceof RefusedError) return [];
      throw error;
    }
  });
}

/** What a node holds, without the elements' comments: they are for people, and nobody puts them right. */
function held(ruleset: NftRuleset): ReadonlyMap<string, string> {
  return new Map(
    [...settledBlocks(ruleset)].map(([name, block]) => [name, block.replaceAll(/ comment "[^"]*"(?= :)/g, '')]),
  );
}

describe('what strangers do to our tables', () => {
  test('one plan puts right', { timeout: 60_000 }, () => {
    const done = new Set<string>();
    fc.assert(
      fc.property(nodeStateLists, deeds, ([state], list) => {
        if (state === undefined) return;
        const ruleset = nodeIn(state);
        const before = held(ruleset);
        const texts = spoil(ruleset, list);
        for (const text of texts) done.add(text.split(' ', 2).join(' '));
        const plan = planTo(state, readTables(ruleset));
        carryOut(ruleset, plan);
        expect(held(ruleset), texts.join('\n')).toEqual(before);
      }),
      { numRuns: 200 },
    );
    expect([...done].toSorted()).toEqual([
      'add chain',
      'add element',
      'add map',
      'add rule',
      'add set',
      'delete element',
      'delete set',
      'delete table',
      'flush chain',
      'flush map',
      'flush set',
      'flush table',
      'insert rule',
    ]);
  });

  // What goes must first be led to by nothing, wherever that stands: in a chain of the generation, or in a map of theirs.
  test.for([
    'insert rule inet kube-nwplcy judged jump mine',
    'add map inet kube-nwplcy lead { type ipv4_addr : verdict; }\nadd element inet kube-nwplcy lead { 10.9.9.9 : goto mine }',
    'add rule inet kube-nwplcy mine jump policies',
  ])('is taken out though something leads there: %s', (text) => {
    const state = { policy: { groups: new Map(), profiles: new Map(), judgements: new Map() }, pods: [] };
    const ruleset = nodeIn(state);
    const before = held(ruleset);
    ruleset.commit(`add chain inet kube-nwplcy mine\n${text}`);
    expect(held(ruleset)).not.toEqual(before);
    carryOut(ruleset, planTo(state, readTables(ruleset)));
    expect(held(ruleset)).toEqual(before);
  });
});
