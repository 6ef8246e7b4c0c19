import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bringUpCommands } from '../../../src/rules/nftables/bringUp.ts';
import { raiseCommands } from '../../../src/rules/nftables/generation.ts';
import { nftPodChainNames } from '../../../src/rules/nftables/names.ts';
import {
  addPodCommands,
  deletePodCommands,
  deleteRemainsCommands,
  freeAddressesCommands,
} from '../../../src/rules/nftables/podCommands.ts';
import { podTable } from '../../../src/rules/nftables/podTable.ts';
import { NFT_FAMILIES, verdictOf } from '../../../src/rules/nftables/table.ts';
import { QUARANTINE, type PodHooks, type PodJudgements } from '../../../src/rules/pod.ts';
import { commit, listedBlocks, readTables, settledBlocks } from '../../helpers/nftNode.ts';
import { NftRuleset } from '../../helpers/nftRuleset.ts';
import { RefusedError } from '../../helpers/restoreTable.ts';
import { hooksOf } from './nodeStates.ts';

const MARK = { value: 0x30000, mask: 0xffff0000 };
const OPEN: PodJudgements = { ingress: { kind: 'open' }, egress: { kind: 'open' } };

const addressLists = fc.constantFrom(['10.0.0.1'], ['fd00::1'], ['10.0.0.2', 'fd00::2'], ['10.0.0.3', '10.0.0.4']);
const hooks = fc
  .record({ addresses: addressLists, port: fc.constantFrom('none', 'bridged', 'routed') })
  .map((seed) => hooksOf('shop/a', seed));
const judgements = fc.constantFrom(QUARANTINE, OPEN, { ...OPEN, egress: { kind: 'quarantine' } } as const);

/** A node that was brought up, with another pod. */
function node(): NftRuleset {
  const ruleset = new NftRuleset();
  commit(ruleset, bringUpCommands({ value: 0x10000, mask: 0xffff0000 }));
  commit(ruleset, addPodCommands(hooksOf('shop/other', { addresses: ['10.9.9.9'], port: 'bridged' }), OPEN));
  return ruleset;
}

/** Hooks a pod in as an ADD does that trusts what stands. */
function add(ruleset: NftRuleset, pod: PodHooks, how: PodJudgements = OPEN): void {
  commit(ruleset, [...addPodCommands(pod, how), ...raiseCommands(MARK)]);
}

/** Hooks a pod in as an ADD does that looks first. */
function addAfterLook(ruleset: NftRuleset, pod: PodHooks): void {
  const tables = readTables(ruleset);
  commit(ruleset, [
    ...deleteRemainsCommands(pod, tables),
    ...freeAddressesCommands(pod, tables),
    ...bringUpCommands(MARK),
    ...addPodCommands(pod, OPEN),
  ]);
}

/** Returns what the tables lack, or hold otherwise, of what an ADD writes. */
function lacking(ruleset: NftRuleset, pod: PodHooks, how: PodJudgements): readonly unknown[] {
  const tables = readTables(ruleset);
  const { chains, elements } = podTable(pod, how);
  return [
    ...[...chains].filter(([name, { rules }]) => tables.inet?.chains.get(name)?.rules.join('\n') !== rules.join('\n')),
    ...elements.filter(({ family, set, key, rest }) => tables[family]?.sets.get(set)?.elements.get(key) !== rest),
  ];
}

describe('an ADD', { timeout: 60_000 }, () => {
  test('puts all that is the pod’s into the tables, over an earlier ADD too, and its DEL leaves what was before', () => {
    fc.assert(
      fc.property(hooks, judgements, judgements, (pod, how, again) => {
        const ruleset = node();
        const before = settledBlocks(ruleset);
        add(ruleset, pod, how);
        expect(lacking(ruleset, pod, how)).toEqual([]);
        add(ruleset, pod, again);
        expect(lacking(ruleset, pod, again)).toEqual([]);
        commit(ruleset, deletePodCommands(pod));
        expect(settledBlocks(ruleset)).toEqual(before);
      }),
    );
  });

  test('deletes nothing, so that nobody waits for the kernel', () => {
    const pod = hooksOf('shop/a', { addresses: ['10.0.0.1', 'fd00::1'], port: 'routed' });
    expect(
      [...addPodCommands(pod, QUARANTINE), ...raiseCommands(MARK)].filter((line) => line.startsWith('delete')),
    ).toEqual([]);
  });

  test('has no command about elements: before one, nft reads the members of all sets that have ranges', () => {
    const commands = addPodCommands(hooksOf('shop/web', { addresses: ['10.0.0.1', 'fd00::1'], port: 'bridged' }), OPEN);
    expect(commands.filter((command) => / element /.test(command))).toEqual([]);
  });

  test('is refused whole where an address is another’s, and goes through after a look', () => {
    const ruleset = node();
    const before = listedBlocks(ruleset);
    const pod = hooksOf('shop/a', { addresses: ['10.0.0.1', '10.9.9.9'], port: 'bridged' });
    expect(() => add(ruleset, pod)).toThrow('File exists');
    expect(listedBlocks(ruleset)).toEqual(before);
    addAfterLook(ruleset, pod);
    expect(lacking(ruleset, pod, OPEN)).toEqual([]);
  });

  test('that comes again with other hooks leaves nothing of the earlier ones, but for a lock that it does not know of', () => {
    fc.assert(
      fc.property(hooks, hooks, (earlier, later) => {
        const ruleset = node();
        add(ruleset, { ...earlier, hostInterface: undefined });
        addAfterLook(ruleset, later);
        const fresh = node();
        addAfterLook(fresh, later);
        expect(settledBlocks(ruleset)).toEqual(settledBlocks(fresh));
      }),
    );
  });
});

describe('a DEL whose address has become another pod’s', () => {
  const earlier = hooksOf('shop/a', { addresses: ['10.0.0.1', 'fd00::1'], port: 'bridged' });
  const later = hooksOf('shop/b', { addresses: ['10.0.0.1'], port: 'routed' });

  function takenOver(): NftRuleset {
    const ruleset = node();
    add(ruleset, earlier);
    addAfterLook(ruleset, later);
    return ruleset;
  }

  test('is refused whole', () => {
    const ruleset = takenOver();
    const before = listedBlocks(ruleset);
    expect(() => commit(ruleset, deletePodCommands(earlier))).toThrow(RefusedError);
    expect(listedBlocks(ruleset)).toEqual(before);
  });

  test.for([{ what: 'with its hooks' }, { what: 'without its hooks' }])(
    'takes out after a look what is still its own, $what, and nothing of the other’s',
    ({ what }) => {
      const ruleset = takenOver();
      const attachment =
        what === 'with its hooks' ? earlier : { containerId: earlier.containerId, ifName: earlier.ifName };
      commit(ruleset, deleteRemainsCommands(attachment, readTables(ruleset)));
      expect(lacking(ruleset, later, OPEN)).toEqual([]);
      const { to, from } = nftPodChainNames(earlier);
      const texts = [...listedBlocks(ruleset).values()].join('\n');
      // Which interface the lock was on, nobody tells then.
      const left = what === 'with its hooks' ? [] : ['"veth-a"'];
      expect([to, from, '"veth-a"'].filter((text) => texts.includes(text))).toEqual(left);
      expect(deleteRemainsCommands(attachment, readTables(ruleset))).toEqual([]);
    },
  );

  test('of a pod that was never hooked in, or is gone already, has nothing to take out', () => {
    expect(deleteRemainsCommands(later, readTables(node()))).toEqual([]);
    expect(deleteRemainsCommands(later, { inet: undefined, bridge: undefined })).toEqual([]);
  });
});

// Names are the API server's and the runtime's, which allow none of these. That they cannot do harm must not hang on it.
describe('whatever a pod is called', { timeout: 60_000 }, () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.string({
      unit: fc.constantFrom('"', '\n', '}', '{', ';', '\\', '#', ',', ' ', ':', '`', '$', '\0', 'ü'),
      maxLength: 300,
    }),
    fc.constantFrom(
      '"; flush ruleset; #',
      'a"\n}\ndelete table inet kube-nwplcy\n',
      'x'.repeat(300),
      'ü'.repeat(200),
      ' : accept',
      ', 10.0.0.9',
    ),
  );

  test('its commands stay what they are: one a line, and its comments one word each', () => {
    fc.assert(
      fc.property(hostile, hostile, hostile, (namespace, name, containerId) => {
        const pod = {
          ...hooksOf('shop/a', { addresses: ['10.0.0.1'], port: 'bridged' }),
          namespace,
          name,
          containerId,
        };
        const ruleset = node();
        const before = settledBlocks(ruleset);
        const commands = addPodCommands(pod, QUARANTINE);
        expect(commands.filter((line) => line.includes('\n'))).toEqual([]);
        for (const line of commands) commit(ruleset, [line]);
        const tables = readTables(ruleset);
        const { elements } = podTable(pod, QUARANTINE);
        const found = elements.map(({ family, set, key }) => tables[family]?.sets.get(set)?.elements.get(key));
        expect(found.map((rest) => verdictOf(rest ?? 'missing'))).toEqual(elements.map(({ rest }) => verdictOf(rest)));
        expect(NFT_FAMILIES.map((family) => tables[family]?.sets.get('sources4')?.elements.size)).toEqual([0, 2]);
        commit(ruleset, deletePodCommands(pod));
        expect(settledBlocks(ruleset)).toEqual(before);
      }),
    );
  });
});
