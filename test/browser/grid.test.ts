import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Cluster } from '../../src/kube/cluster.ts';
import { columnsOf, NO_FILTER, rowsOf } from '../../src/page/axes.ts';
import { Comparison } from '../../src/page/comparison.ts';
import { evaluate } from '../../src/policy/evaluate.ts';
import { explain } from '../../src/policy/explain.ts';
import { explainText } from '../../src/policy/explainText.ts';
import { clusterManifests } from '../helpers/arbitraries.ts';
import { flowOf } from '../helpers/flowText.ts';
import { clusterOf } from '../helpers/manifests.ts';
import { manyPods } from '../helpers/pageClusters.ts';
import { assertQuiet, cellAt, oneLine, openSnapshot, words, type OpenPage } from './openPage.ts';

const OPTIONS = { ports: [{ port: 80, protocol: 'TCP' }] } as const;

test.for([10, 100, 1000])('the table of %i pods says everywhere what evaluate and explain say', async (count) => {
  const cluster = clusterOf(manyPods(count));
  await using opened = await openSnapshot({ before: cluster });
  const { page } = opened;
  const { rows, columns } = sizeOf(cluster, {});
  const grid = page.getByRole('grid');
  expect(await grid.getAttribute('aria-rowcount')).toBe(`${rows + 1}`);
  expect(await grid.getAttribute('aria-colcount')).toBe(`${columns + 1}`);
  // Only what is in sight is made.
  expect(await page.getByRole('gridcell').count()).toBeLessThan(2500);
  await cellAt(page, '0,0').focus();
  for (const keys of [[], ['End'], ['Control+End'], ['PageUp', 'PageUp', 'Home'], ['Control+Home', 'ArrowRight']]) {
    for (const key of keys) await page.keyboard.press(key);
    await assertFocusedCell(opened, cluster, {});
  }
  assertQuiet(opened);
});

test('every cell of generated clusters, and its explanation, is what evaluate and explain say', async () => {
  const agrees = fc.asyncProperty(clusterManifests, fc.infiniteStream(fc.nat()), async (manifests, numbers) => {
    const cluster = clusterOf(manifests);
    const { rows, columns } = sizeOf(cluster, OPTIONS);
    fc.pre(rows > 0);
    await using opened = await openSnapshot({ before: cluster, options: OPTIONS });
    const next = (below: number) => (numbers.next().value ?? 0) % below;
    for (let sample = 0; sample < 8; sample += 1) {
      const cell = cellAt(opened.page, `${next(rows)},${next(columns)}`);
      // By code, not by mouse: what is not in sight yet is made when it is needed.
      await cell.focus();
      await assertFocusedCell(opened, cluster, OPTIONS);
    }
    assertQuiet(opened);
  });
  await fc.assert(agrees, { numRuns: 12 });
});

function sizeOf(before: Cluster, options: typeof OPTIONS | object) {
  const { groups } = new Comparison({ before }, options);
  return { rows: rowsOf(groups, NO_FILTER).length, columns: columnsOf(groups, NO_FILTER).length };
}

const WORDS = {
  allowed: 'allowed',
  audit: 'allowed by audit mode alone, would be blocked',
  blocked: 'blocked',
  mixed: 'allowed on the same node only',
  absent: 'not there',
};

/** Opens the cell that has the focus, and asserts that what is told of it is right. */
async function assertFocusedCell({ page }: OpenPage, cluster: Cluster, options: object): Promise<void> {
  const { groups } = new Comparison({ before: cluster }, options);
  const place = (await page.locator(':focus').getAttribute('data-place')) ?? '';
  const [row = 0, column = 0] = place.split(',').map(Number);
  const [from, to] = [rowsOf(groups, NO_FILTER)[row], columnsOf(groups, NO_FILTER)[column]];
  if (from === undefined || to === undefined) throw new Error(`There is no cell at ${place}`);
  const label = (await cellAt(page, place).getAttribute('aria-label')) ?? '';
  const state = new Comparison({ before: cluster }, options).state({ from, to: to.group, port: to.port }, 'before');
  const name = `${from.namespace}/${from.label} to ${to.group.namespace}/${to.group.label} ${to.port.port}/${to.port.protocol}`;
  expect(label).toBe(`${name}: ${WORDS[state]}`);
  await page.keyboard.press('Enter');
  const panel = page.getByRole('complementary', { name: 'Explanation' });
  const [source, target] = [await panel.getByLabel('From').inputValue(), await panel.getByLabel('To').inputValue()];
  const flow = flowOf(`${source} > ${target} ${to.port.protocol}/${to.port.port}`);
  expect(await words(panel.locator('.answers'))).toBe(oneLine(explainText(explain(cluster, flow), new Map())));
  expect(evaluate(cluster, flow).allowed ? ['allowed', 'audit', 'mixed'] : ['blocked', 'mixed']).toContain(state);
  await page.keyboard.press('Escape');
  expect(await panel.count()).toBe(0);
}
