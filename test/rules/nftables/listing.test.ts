import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { raiseCommands, withGeneration } from '../../../src/rules/nftables/generation.ts';
import { parseTable } from '../../../src/rules/nftables/listing.ts';
import { NFT_FAMILIES, type NftFamily } from '../../../src/rules/nftables/table.ts';
import { commit, listedTable } from '../../helpers/nftNode.ts';
import { NftRuleset } from '../../helpers/nftRuleset.ts';
import { NOTHING_READ, planTo } from './nodeStates.ts';
import { LISTED_STATE } from './listings/state.ts';

const PLAN = withGeneration(planTo(LISTED_STATE, NOTHING_READ), { value: 0x10000, mask: 0xffff0000 });
// A second generation, as an ADD begins it; of a mask that is no run of leading bits.
const COMMANDS = [...PLAN.commands, ...raiseCommands({ value: 0xc0000, mask: 0xff0000 })];

const VERSIONS = ['1.0.2', '1.0.6', '1.1.3'];

/** What a version of nft printed of these commands (`--stateless --numeric-priority list table`). */
function listing(version: string, family: NftFamily): string {
  return readFileSync(new URL(`listings/nft-${version}-${family}.txt`, import.meta.url), 'utf8');
}

describe.for(VERSIONS)('a listing of nft %s', (version) => {
  const tables = { inet: parseTable(listing(version, 'inet')), bridge: parseTable(listing(version, 'bridge')) };

  test('is read as what was written: nothing is to be done', () => {
    expect(planTo(LISTED_STATE, tables)).toMatchObject({ commands: [], closes: false });
  });

  test('lacks nothing, and has nothing more', () => {
    for (const family of NFT_FAMILIES) {
      const [read, written] = [tables[family], PLAN.after[family]];
      expect(read.isStrange).toBe(false);
      expect([...read.chains.keys()].toSorted()).toEqual([...written.chains.keys()].toSorted());
      const elements = (table: typeof written) =>
        new Map(
          [...table.sets].map(([name, set]) => [name, [...set.elements].map((entry) => entry.join('')).toSorted()]),
        );
      expect(elements(read)).toEqual(elements(written));
    }
  });
});

test('the model of nft in these tests lists as nft 1.0.6 does', () => {
  const ruleset = new NftRuleset();
  commit(ruleset, COMMANDS);
  for (const family of NFT_FAMILIES) expect(listedTable(ruleset, family)).toBe(listing('1.0.6', family));
});

describe('what others put into a table', () => {
  const text = (body: string) => `table inet kube-nwplcy {\n${body}\n}\n`;

  test('is read as theirs: a comment of theirs hides nothing', () => {
    const { sets } = parseTable(
      text(
        '\tmap ingress4 {\n\t\ttype ipv4_addr : verdict\n\t\telements = { 10.0.0.1 comment "a, b } : accept" : drop,\n\t\t\t     10.0.0.2 : accept }\n\t}',
      ),
    );
    expect([...(sets.get('ingress4')?.elements ?? [])]).toEqual([
      ['10.0.0.1', ' comment "a, b } : accept" : drop'],
      ['10.0.0.2', ' : accept'],
    ]);
  });

  test('is strange when it is neither chain nor set nor map, or a flag of the table', () => {
    const isStrange = (body: string) => parseTable(text(body)).isStrange;
    expect(isStrange('\tchain a {\n\t\tflags dormant\n\t}')).toBe(false);
    expect(isStrange('\tflags dormant\n\tchain a {\n\t}')).toBe(true);
    expect(
      isStrange('\tct timeout t {\n\t\tprotocol tcp\n\t\tl3proto ip\n\t\tpolicy = { established : 10 }\n\t}'),
    ).toBe(true);
    expect(isStrange('\tquota q {\n\t\tover 1 mbytes\n\t}\n\n\tchain a {\n\t}')).toBe(true);
  });

  test('of ranges that are none is kept as it is', () => {
    const body =
      '\tset x {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { 10.0.0.0-10.0.0.255, what-ever }\n\t}';
    expect([...(parseTable(text(body)).sets.get('x')?.elements.keys() ?? [])]).toEqual(['10.0.0.0/24', 'what-ever']);
  });
});

test('addresses that embed IPv4 are read as they are written, whichever way nft prints them', () => {
  const printed =
    'table inet kube-nwplcy {\n\tset s {\n\t\ttype ipv6_addr\n\t\telements = { ::1.2.3.4, ::0.0.1.2,\n\t\t\t     ::ffff:0.0.0.1, ::1 }\n\t}\n}\n';
  expect([...(parseTable(printed).sets.get('s')?.elements.keys() ?? [])]).toEqual([
    '::102:304',
    '::102',
    '::ffff:0:1',
    '::1',
  ]);
});
