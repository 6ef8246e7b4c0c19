import { describe, expect, test } from 'vitest';
import { withGeneration } from '../../../src/rules/nftables/generation.ts';
import { parseTable } from '../../../src/rules/nftables/listing.ts';
import { NFT_FAMILIES } from '../../../src/rules/nftables/table.ts';
import { tableText } from '../../../src/rules/nftables/tableText.ts';
import { commit, listedTable } from '../../helpers/nftNode.ts';
import { NftRuleset } from '../../helpers/nftRuleset.ts';
import { NOTHING_READ, planTo } from './nodeStates.ts';
import { LISTED_STATE } from './listings/state.ts';

const PLAN = withGeneration(planTo(LISTED_STATE, NOTHING_READ), { value: 0x10000, mask: 0xffff0000 });

describe('a table as text', () => {
  test('is what nft takes, and reads as the table itself', () => {
    const committed = new NftRuleset();
    commit(committed, PLAN.commands);
    const ruleset = NftRuleset.of(
      NFT_FAMILIES.map((family) => tableText(family, { table: PLAN.after[family], notes: new Map() })).join('\n'),
    );
    for (const family of NFT_FAMILIES)
      expect(parseTable(listedTable(ruleset, family) ?? '')).toEqual(parseTable(listedTable(committed, family) ?? ''));
  });

  test('has notes as lines of their own above what they are about', () => {
    const table = {
      sets: new Map([
        [
          's',
          {
            kind: 'set',
            type: 'type ipv4_addr',
            comment: 'who',
            elements: new Map([
              ['10.0.0.1', ''],
              ['10.0.0.2', ''],
            ]),
          } as const,
        ],
      ]),
      chains: new Map([
        ['a', { comment: 'what', rules: ['ip saddr @s return', 'drop'] }],
        ['b', { rules: [] }],
      ]),
    };
    expect(tableText('inet', { table, notes: new Map([['a', 'the profile of shop/web']]) }))
      .toBe(`table inet kube-nwplcy {
	set s {
		type ipv4_addr
		comment "who"
		elements = { 10.0.0.1,
			     10.0.0.2 }
	}

	# the profile of shop/web
	chain a {
		comment "what"
		ip saddr @s return
		drop
	}

	chain b {
	}
}
`);
  });
});
