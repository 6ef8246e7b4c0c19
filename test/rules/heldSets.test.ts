import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PeerGroup } from '../../src/policy/model.ts';
import { HeldSets, type FoundSet, type SetPlan } from '../../src/rules/heldSets.ts';
import { addressSets, type AddressSet } from '../../src/rules/iptables/addressSet.ts';
import { setName } from '../../src/rules/names.ts';
import { addresses } from '../helpers/peerGroups.ts';

const KEYS = ['a', 'b', 'c'];
const ADDRESSES = ['10.0.0.1', '10.0.0.2', '10.0.0.3', 'fd00::1', 'fd00::2'];

type Kernel = Map<string, Set<string>>;

/** Does in a kernel what a plan says, and fails where the kernel is not as the plan takes it to be. */
function carryOut(kernel: Kernel, { changes, stale }: SetPlan<AddressSet>): void {
  for (const { set, size, added, removed } of changes) {
    expect(kernel.get(set.name)?.size).toBe(size);
    const members = kernel.get(set.name) ?? new Set();
    for (const member of removed) expect(members.delete(member)).toBe(true);
    for (const member of added) {
      expect(members.has(member)).toBe(false);
      members.add(member);
    }
    kernel.set(set.name, members);
  }
  for (const name of stale) expect(kernel.delete(name)).toBe(true);
}

function found(kernel: Kernel): ReadonlyMap<string, FoundSet> {
  return new Map([...kernel].map(([name, members]) => [name, { type: 'hash:ip', members: new Set(members) }]));
}

function contentOf(groups: ReadonlyMap<string, PeerGroup>): Kernel {
  const sets = [...groups.values()].flatMap(addressSets);
  return new Map(sets.map(({ name, members }) => [name, new Set(members)]));
}

/** What becomes of a group: it goes, comes anew, stays the same object or changes its members. */
const fate = fc.oneof(
  fc.constant('gone' as const),
  { weight: 3, arbitrary: fc.constant('same' as const) },
  { weight: 3, arbitrary: fc.subarray(ADDRESSES) },
  fc.record({ anew: fc.subarray(ADDRESSES) }),
);
const step = fc.record({
  fates: fc.array(fate, { minLength: KEYS.length, maxLength: KEYS.length }),
  before: fc.constantFrom('nothing', 'look', 'foreign change and look', 'skipped'),
});

function nextGroups(groups: ReadonlyMap<string, PeerGroup>, fates: readonly unknown[]): ReadonlyMap<string, PeerGroup> {
  return new Map(
    KEYS.flatMap((key, index): [string, PeerGroup][] => {
      const before = groups.get(key);
      const becomes = fates[index] as 'gone' | 'same' | readonly string[] | { readonly anew: readonly string[] };
      if (becomes === 'gone') return [];
      if (becomes === 'same') return before === undefined ? [] : [[key, before]];
      if ('anew' in becomes) return [[key, addresses(becomes.anew, { key })]];
      return [[key, addresses(becomes, { key, ...(before !== undefined && { before }) })]];
    }),
  );
}

test('whatever becomes of groups, the kernel holds what they want, and what is the same is not looked at again', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
      const held = new HeldSets(addressSets);
      const kernel: Kernel = new Map();
      let groups: ReadonlyMap<string, PeerGroup> = new Map();
      for (const { fates, before } of steps) {
        groups = nextGroups(groups, fates);
        // A state that never reached the kernel.
        if (before === 'skipped') continue;
        const [first] = kernel.values();
        if (before === 'foreign change and look') first?.add('192.0.2.1');
        if (before !== 'nothing') held.found(found(kernel));
        let plan = held.plan(groups);
        if (plan.unknown.length > 0) {
          held.foundAmong(plan.unknown, found(kernel));
          plan = held.plan(groups);
        }
        expect(plan.unknown).toEqual([]);
        carryOut(kernel, plan);
        held.settle(plan);
        held.settleGone(plan.stale);
        expect(kernel).toEqual(contentOf(groups));
        expect(held.hasSizes(new Map([...kernel].map(([name, members]) => [name, members.size])))).toBe(true);
        expect(held.plan(groups)).toMatchObject({ changes: [], unknown: [], stale: new Set() });
      }
    }),
    { numRuns: 300 },
  );
});

describe('a change of members', () => {
  const before = addresses(['10.0.0.1', '10.0.0.2', 'fd00::1'], { key: 'a' });
  const of = (group: PeerGroup) => new Map([[group.key, group]]);
  const settled = () => {
    const held = new HeldSets(addressSets);
    held.settle(held.plan(of(before)));
    return held;
  };

  test('is what the group tells of it: nobody goes through the members', () => {
    const after = addresses(['10.0.0.1', '10.0.0.3', 'fd00::1'], { key: 'a', before });
    const silent = { ...after, members: { size: 3, [Symbol.iterator]: (): Iterator<string> => expect.fail() } };
    expect(settled().plan(of(silent as PeerGroup)).changes).toMatchObject([
      { set: { family: 'ipv4' }, size: 2, added: ['10.0.0.3'], removed: ['10.0.0.2'] },
      { set: { family: 'ipv6' }, size: 1, added: [], removed: [] },
    ]);
  });

  test('from a version that the kernel does not hold is unknown until it is looked at', () => {
    const after = addresses(['10.0.0.3'], { key: 'a', before: addresses([], { key: 'a' }) });
    const held = settled();
    const names = addressSets(before).map(({ name }) => name);
    expect(held.plan(of(after))).toMatchObject({ changes: [], unknown: names });
    held.foundAmong(names, found(new Map(names.map((name) => [name, new Set(['10.0.0.2'])]))));
    const [first] = held.plan(of(after)).changes;
    expect(first).toMatchObject({ added: ['10.0.0.3'], removed: ['10.0.0.2'] });
  });
});

test('a set of another type is told', () => {
  const held = new HeldSets(addressSets);
  held.found(new Map([[setName('ipv4', 'a'), { type: 'hash:net', members: new Set() }]]));
  expect(held.plan(new Map([['a', addresses([], { key: 'a' })]])).misfits).toEqual([setName('ipv4', 'a')]);
});

test('sizes are not those of the kernel when one differs, is missing or is too much', () => {
  const held = new HeldSets(addressSets);
  held.settle(held.plan(new Map([['a', addresses(['10.0.0.1'], { key: 'a' })]])));
  const [v4, v6] = [setName('ipv4', 'a'), setName('ipv6', 'a')];
  const isSame = (...sizes: [string, number][]) => held.hasSizes(new Map(sizes));
  expect([
    isSame([v4, 1], [v6, 0]),
    isSame([v4, 2], [v6, 0]),
    isSame([v4, 1]),
    isSame([v4, 1], [v6, 0], ['x', 0]),
  ]).toEqual([true, false, false, false]);
});
