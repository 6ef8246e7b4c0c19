import { describe, expect, test } from 'vitest';
import { STANDING_TABLES } from '../../../src/rules/nftables/standing.ts';
import { parseTable } from '../../../src/rules/nftables/listing.ts';
import { familiesToMake } from '../../../src/rules/nftables/plan.ts';
import { QUARANTINE } from '../../../src/rules/pod.ts';
import type { NftFamily } from '../../../src/rules/nftables/table.ts';
import { listedTable, readTables, settledBlocks } from '../../helpers/nftNode.ts';
import { carryOut, hooksOf, nodeIn, planTo, type NodeState } from './nodeStates.ts';

const STATE: NodeState = {
  policy: { groups: new Map(), profiles: new Map(), judgements: new Map() },
  pods: [
    { hooks: hooksOf('shop/a', { addresses: ['10.0.0.1'], port: 'bridged' }), judgements: QUARANTINE },
    { hooks: hooksOf('shop/b', { addresses: ['10.0.0.2', 'fd00::2'], port: 'routed' }), judgements: QUARANTINE },
  ],
};

/** The node's tables with a piece of the listing of one of them changed: what nft would print then. */
function tampered(family: NftFamily, change: (text: string) => string) {
  const ruleset = nodeIn(STATE);
  const text = listedTable(ruleset, family) ?? '';
  const changed = change(text);
  expect(changed).not.toBe(text);
  return { ruleset, tables: { ...readTables(ruleset), [family]: parseTable(changed) } };
}

const HEAD = /^(table .*\n)/;

// None of these can be put right within the table: nft changes neither a chain's hook, nor a set's type, and not every object can be told by its name.
describe('a table is made anew, in one transaction with everything in it', () => {
  test.for<{ readonly what: string; readonly family: NftFamily; readonly change: (text: string) => string }>([
    { what: 'dormant', family: 'inet', change: (text) => text.replace(HEAD, '$1\tflags dormant\n') },
    { what: 'owned', family: 'bridge', change: (text) => text.replace(HEAD, '$1\tflags owner\n') },
    { what: 'another priority', family: 'inet', change: (text) => text.replace('priority -10;', 'priority 300;') },
    { what: 'another policy', family: 'bridge', change: (text) => text.replace('policy accept', 'policy drop') },
    {
      what: 'a hook where none belongs',
      family: 'inet',
      change: (text) => text.replace('\tchain refuse {\n', '$&\t\ttype filter hook input priority 0; policy accept;\n'),
    },
    {
      what: 'no hook where one belongs',
      family: 'inet',
      change: (text) => text.replace(/\t\ttype filter hook output .*\n/, ''),
    },
    {
      what: 'another type of key',
      family: 'inet',
      change: (text) => text.replace('ipv6_addr : verdict', 'ipv6_addr : mark'),
    },
    {
      what: 'another flag',
      family: 'bridge',
      change: (text) => text.replace('type ifname\n', '$&\t\tflags timeout\n'),
    },
    {
      what: 'a counter',
      family: 'inet',
      change: (text) => text.replace(HEAD, '$1\tcounter c {\n\t\tpackets 0 bytes 0\n\t}\n\n'),
    },
    {
      what: 'a helper',
      family: 'inet',
      change: (text) => text.replace(HEAD, '$1\tct helper h {\n\t\ttype "ftp" protocol tcp\n\t\tl3proto inet\n\t}\n\n'),
    },
    {
      what: 'a flowtable',
      family: 'inet',
      change: (text) =>
        text.replace(HEAD, '$1\tflowtable f {\n\t\thook ingress priority filter\n\t\tdevices = { lo }\n\t}\n\n'),
    },
  ])('$what', ({ family, change }) => {
    const { ruleset, tables } = tampered(family, change);
    expect(familiesToMake(tables, { wanted: STANDING_TABLES, misfits: [] })).toEqual([family]);
    const plan = planTo(STATE, tables);
    expect([plan.closes, plan.commands.slice(0, 2)]).toEqual([
      true,
      [`delete table ${family} kube-nwplcy`, expect.stringMatching(new RegExp(`^add table ${family} kube-nwplcy `))],
    ]);
    carryOut(ruleset, plan);
    expect(settledBlocks(ruleset)).toEqual(settledBlocks(nodeIn(STATE)));
  });

  test('that is missing, and the other is left as it is', () => {
    const ruleset = nodeIn(STATE);
    ruleset.commit('delete table bridge kube-nwplcy');
    const plan = planTo(STATE, readTables(ruleset));
    expect(plan.commands.filter((command) => command.includes(' inet '))).toEqual([]);
    carryOut(ruleset, plan);
    expect(settledBlocks(ruleset)).toEqual(settledBlocks(nodeIn(STATE)));
  });
});
