import { expect, test } from 'vitest';
import { matrixText, type Mark, type Reachability } from '../../../scripts/demo/matrixText.ts';
import type { Paint } from '../../../scripts/demo/paint.ts';

const plain: Paint = (_, text) => text;
const tagged: Paint = (format, text) => `<${String(format)} ${text}>`;

/** Makes a matrix of three parties by two from a text of one letter a mark: o(pen), c(losed), w(rong). */
function reachability(text: string): Reachability {
  const letters: Readonly<Record<string, Mark>> = { o: 'open', c: 'closed', w: 'wrong' };
  const lines = text.trim().split('\n');
  return {
    rows: ['shop/web', 'shop/database', '172.17.0.9'],
    columns: ['shop/web', 'shop/database', 'kube-system/dns'],
    cells: lines.map((line) =>
      line
        .trim()
        .split(' ')
        .map((marks) => marks.split('').map((letter) => letters[letter] ?? 'wrong')),
    ),
  };
}

const OPEN = reachability(`
  oo oo oo
  oo oo oo
  oo oo oo`);

const SOME = reachability(`
  oo oc oo
  cc oo oo
  cc cw oc`);

test('a first matrix has a row for each source and a column for each target, and nothing in brackets', () => {
  expect(`\n${matrixText(SOME, { previous: undefined, paint: plain }).join('\n')}`).toBe(`
               shop/               kube-system/
               web       database  dns
shop/web       ●●        ●·        ●●
shop/database  ··        ●●        ●●
172.17.0.9     ··        ·!        ●·`);
});

test('cells of which a mark has changed stand in brackets', () => {
  expect(`\n${matrixText(SOME, { previous: OPEN, paint: plain }).join('\n')}`).toBe(`
               shop/               kube-system/
               web       database  dns
shop/web       ●●       [●·]       ●●
shop/database [··]       ●●        ●●
172.17.0.9    [··]      [·!]      [●·]`);
  expect(matrixText(SOME, { previous: SOME, paint: plain })).toEqual(
    matrixText(SOME, { previous: undefined, paint: plain }),
  );
});

test('colour tells what is open, closed and wrong, and is strong on marks that have changed', () => {
  const previous = reachability(`
    oo oo oo
    oo oo oo
    cc cc oc`);
  const [, , first, , third] = matrixText(SOME, { previous, paint: tagged });
  expect(first).toBe(
    'shop/web       <green ●><green ●>       <bold,red [><green ●><bold,red ·><bold,red ]>       <green ●><green ●>',
  );
  expect(third).toBe(
    '172.17.0.9     <gray ·><gray ·>       <bold,red [><gray ·><bold,red !><bold,red ]>       <green ●><gray ·>',
  );
});

test('brackets are red where something was closed, and green where things were opened only', () => {
  const mixed = reachability(`
    co oo oo
    oo oo oo
    oo oo oo`);
  const before = reachability(`
    oc cc oo
    oo oo oo
    oo oo oo`);
  expect(matrixText(mixed, { previous: before, paint: tagged })[2]).toBe(
    'shop/web      <bold,red [><bold,red ·><bold,green ●><bold,red ]>      <bold,green [><bold,green ●><bold,green ●><bold,green ]>       <green ●><green ●>',
  );
});

test('a column is as wide as its name or its cell, whichever is wider', () => {
  const [, names, row] = matrixText(
    {
      rows: ['a/b'],
      columns: ['a/b', 'a/c'],
      cells: [
        [
          ['open', 'open', 'open'],
          ['closed', 'open', 'open'],
        ],
      ],
    },
    { previous: undefined, paint: plain },
  );
  expect([names, row]).toEqual(['     b      c', 'a/b  ●●●    ·●●']);
});
