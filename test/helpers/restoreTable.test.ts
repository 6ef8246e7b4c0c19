import { describe, expect, test } from 'vitest';
import { RefusedError, RestoreTable } from './restoreTable.ts';

const SOME = ['-N A', '-N B', '-A A -g B', '-A FORWARD -s 10.0.0.1/32 -j A', ':C - [0:0]', '-A C -j DROP'];

function someTable(): RestoreTable {
  const table = new RestoreTable({ hasSet: (name) => name === 'S' });
  table.commit(SOME);
  return table;
}

test('a transaction does what its lines say, in their order', () => {
  const table = someTable();
  table.commit([
    ':B - [0:0]',
    '-I A -j C',
    '-A B -m set --match-set S src -j RETURN',
    '-I B -j DROP',
    '-F C',
    ':D - [0:0]',
    '-X D',
  ]);
  expect(Object.fromEntries(table.chains)).toEqual({
    INPUT: [],
    FORWARD: ['-s 10.0.0.1/32 -j A'],
    OUTPUT: [],
    A: ['-j C', '-g B'],
    B: ['-j DROP', '-m set --match-set S src -j RETURN'],
    C: [],
  });
  expect(table.setsInUse()).toEqual(new Set(['S']));
});

test('-D takes the first of equal rules', () => {
  const table = someTable();
  table.commit(['-A C -j RETURN', '-A C -j DROP', '-D C -j DROP']);
  expect(table.rules('C')).toEqual(['-j RETURN', '-j DROP']);
});

describe('a transaction is refused whole', () => {
  test.for([
    { line: '-N A', reason: 'the chain exists already' },
    { line: '-A NOWHERE -j DROP', reason: 'no chain "NOWHERE"' },
    { line: '-I NOWHERE -j DROP', reason: 'no chain "NOWHERE"' },
    { line: '-D NOWHERE -j DROP', reason: 'no chain "NOWHERE"' },
    { line: '-F NOWHERE', reason: 'no chain "NOWHERE"' },
    { line: '-X NOWHERE', reason: 'no chain "NOWHERE"' },
    { line: '-D A -j DROP', reason: 'no such rule in the chain' },
    { line: '-D A -g  B', reason: 'no such rule in the chain' },
    { line: '-X C', reason: 'the chain is not empty' },
    { line: '-X B', reason: 'chain "A" leads to it' },
    { line: '-X FORWARD', reason: 'the chain is the kernel’s own' },
    { line: ':FORWARD - [0:0]', reason: 'a chain of the kernel needs a policy' },
    { line: '-A A -j NOWHERE', reason: 'no chain "NOWHERE"' },
    { line: '-A A -g DROP', reason: 'no chain "DROP"' },
    { line: '-A A -j FORWARD', reason: 'no chain "FORWARD"' },
    { line: '-A A -s 10.0.0.1/32', reason: 'the rule has no target at its end' },
    { line: '-A A -m set --match-set T src -j DROP', reason: 'no set "T"' },
    { line: `-N ${'N'.repeat(29)}`, reason: 'the name is longer than 28' },
    { line: '-F A -j DROP', reason: 'a rule is missing, or one too much' },
    { line: '-A A', reason: 'a rule is missing, or one too much' },
    { line: '-E A B', reason: 'unknown command' },
    { line: 'COMMIT', reason: 'unknown command' },
    { line: '-A B -j A', reason: 'A → B → A' },
  ])('$line', ({ line, reason }) => {
    const table = someTable();
    const before = structuredClone(new Map(table.chains));
    expect(() => table.commit(['-A C -j RETURN', line])).toThrow(RefusedError);
    expect(() => table.commit([line])).toThrow(reason);
    expect(new Map(table.chains)).toEqual(before);
  });
});

test('a copy goes its own way', () => {
  const table = someTable();
  const copy = table.copy();
  copy.commit(['-F C']);
  expect([table.rules('C'), copy.rules('C')]).toEqual([['-j DROP'], []]);
});
