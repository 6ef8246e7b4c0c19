import axe from 'axe-core';
import { expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { applied } from '../../src/policy/applied.ts';
import { clusterOf, namespace, pod, policy } from '../helpers/manifests.ts';
import { manyPods } from '../helpers/pageClusters.ts';
import { assertQuiet, cellAt, openSnapshot, words } from './openPage.ts';

const shop = clusterOf([
  namespace('ops'),
  namespace('shop'),
  pod('ops/prometheus', { labels: { app: 'prometheus' }, ports: [{ name: 'web', containerPort: 9090 }] }),
  pod('shop/db', { labels: { app: 'db' }, ports: [{ name: 'pg', containerPort: 5432 }] }),
  ...['a', 'b', 'c'].map((replica) =>
    pod(`shop/web-${replica}`, {
      labels: { app: 'web' },
      ports: [
        { name: 'http', containerPort: 80 },
        { name: 'quic', containerPort: 443, protocol: 'UDP' },
      ],
    }),
  ),
  policy('shop/db', {
    podSelector: { matchLabels: { app: 'db' } },
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ port: 5432 }] }],
  }),
]);

const changed = applied(shop, [
  ...clusterOf([
    policy('shop/db', { podSelector: { matchLabels: { app: 'db' } }, ingress: [{ ports: [{ port: 5432 }] }] }),
    policy('ops/all', { podSelector: {} }),
  ]).policies.values(),
]);

const change = {
  before: shop,
  places: new Map([['shop/db', 'db.yaml:1']]),
  after: { cluster: changed, places: new Map([['shop/db', 'change.yaml:1']]), source: 'change.yaml' },
};

/** Rows: ops/prometheus, shop/db, shop/web. Columns: 9090, 5432, 80, 443/UDP. */
async function openShop(
  snapshot: Parameters<typeof openSnapshot>[0] = { before: shop },
  colorScheme: 'light' | 'dark' = 'light',
) {
  return openSnapshot(snapshot, { colorScheme });
}

test('by keyboard alone: into the table, to a cell, to its explanation and back', async () => {
  await using opened = await openShop();
  const { page } = opened;
  for (let tab = 0; tab < 20 && !(await isInGrid(page)); tab += 1) await page.keyboard.press('Tab');
  expect(await focusedPlace(page)).toBe('0,0');
  for (const [key, place] of [
    ['ArrowDown', '1,0'],
    ['ArrowRight', '1,1'],
    ['End', '1,3'],
    ['ArrowRight', '1,3'],
    ['Control+End', '2,3'],
    ['Home', '2,0'],
    ['ArrowRight', '2,1'],
  ] as const) {
    await page.keyboard.press(key);
    expect(await focusedPlace(page)).toBe(place);
  }
  const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
  expect(outline).toBe('solid');
  await page.keyboard.press('Enter');
  const panel = page.getByRole('complementary', { name: 'Explanation' });
  expect(await words(panel.locator('.answers'))).toContain('ALLOWED shop/web-a → shop/db 5432/TCP');
  expect(await cellAt(page, '2,1').getAttribute('aria-selected')).toBe('true');
  expect(await focusedPlace(page)).toBe('2,1');
  expect(await words(page.locator('.page > [role=status]'))).toMatch(
    /^ALLOWED shop\/web-a → shop\/db 5432\/TCP · egress/,
  );
  await page.keyboard.press('Escape');
  expect(await panel.count()).toBe(0);
  assertQuiet(opened);
});

async function isInGrid(page: Page): Promise<boolean> {
  return (await focusedPlace(page)) !== undefined;
}

async function focusedPlace(page: Page): Promise<string | undefined> {
  const focused = page.locator(':focus');
  return (await focused.count()) === 0 ? undefined : ((await focused.getAttribute('data-place')) ?? undefined);
}

test('by mouse: pointing tells the reason in a line, a click all of it, and any of the pods can be asked about', async () => {
  await using opened = await openShop();
  const { page } = opened;
  await cellAt(page, '0,1').hover();
  expect(await words(page.locator('.hint'))).toBe(
    'DENIED ops/prometheus → shop/db 5432/TCP · egress: open: no policy selects it for egress · ingress: refused: one policy isolates it, and no rule allows this — shop/db, nearest rule: spec.ingress[0].from[0], ports[0]',
  );
  await cellAt(page, '2,1').click();
  const panel = page.getByRole('complementary', { name: 'Explanation' });
  await panel.getByLabel('From').selectOption('shop/web-c');
  expect(await words(panel.locator('.answers'))).toContain('ALLOWED shop/web-c → shop/db 5432/TCP');
  await panel.getByRole('button', { name: 'Close the explanation' }).click();
  expect(await panel.count()).toBe(0);
  assertQuiet(opened);
});

test('search, namespaces and ports narrow the table', async () => {
  await using opened = await openShop();
  const { page } = opened;
  const filters = page.getByRole('search');
  const size = async () => [
    await page.getByRole('rowheader').count(),
    (await page.getByRole('columnheader').count()) - 1,
  ];
  expect(await size()).toEqual([3, 4]);
  await filters.getByLabel('From').fill('app=web');
  expect(await size()).toEqual([1, 4]);
  await filters.getByLabel('To').fill('shop/');
  expect(await size()).toEqual([1, 3]);
  await filters.getByLabel('Port').selectOption('UDP');
  expect(await size()).toEqual([1, 1]);
  await filters.getByLabel('Port').selectOption('9090/TCP');
  expect(await words(page.getByRole('main'))).toBe('Nothing fits this choice: no pods, or no ports');
  await filters.getByRole('button', { name: 'Show all' }).click();
  expect(await size()).toEqual([3, 4]);
  await filters.getByText('Namespaces').first().click();
  await filters.getByLabel('ops').check();
  expect(await size()).toEqual([1, 1]);
  await page.keyboard.press('Escape');
  expect(await filters.getByLabel('ops').isVisible()).toBe(false);
  assertQuiet(opened);
});

test('what a change opens and closes is marked and counted, and both sides are told', async () => {
  await using opened = await openShop(change);
  const { page } = opened;
  const section = page.getByRole('region', { name: 'The change' });
  expect(await words(section.getByRole('status'))).toBe('change.yaml + 1 cell opens − 2 cells close');
  expect(await cellAt(page, '0,1').getAttribute('aria-label')).toMatch(/: allowed, the change opens it$/);
  const sign = await page.evaluate(`getComputedStyle(document.querySelector('[data-place="0,1"]'), '::after').content`);
  expect(sign).toBe('"+"');
  await section.getByRole('button', { name: 'Before' }).click();
  expect(await cellAt(page, '0,1').getAttribute('aria-label')).toMatch(/: blocked, the change opens it$/);
  await cellAt(page, '0,1').click();
  const answers = page.getByRole('complementary', { name: 'Explanation' }).locator('.answer');
  expect(await words(answers.nth(0))).toMatch(/^Before DENIED .* shop\/db \(db\.yaml:1\), nearest rule/);
  expect(await words(answers.nth(1))).toMatch(/^After ALLOWED .* ✓ shop\/db \(change\.yaml:1\) spec\.ingress\[0\]/);
  await cellAt(page, '2,2').click();
  expect(await words(answers)).toMatch(/^Before and after ALLOWED/);
  await section.getByLabel('only what changes').check();
  expect(await page.getByRole('columnheader').count()).toBe(3);
  assertQuiet(opened);
});

test('the graph says whom pods reach and who reaches them, by keyboard and by mouse', async () => {
  await using opened = await openShop();
  const { page } = opened;
  await page.getByRole('button', { name: 'Graph' }).click();
  const db = page.getByRole('button', { name: 'shop/db: reaches 2, reached by 1' });
  await db.click();
  const side = page.getByRole('complementary', { name: 'Connections' });
  expect(await words(side)).toBe(
    'shop/db reaches 2 ops/prometheus 9090/TCP shop/web-* (3) 80/TCP, 443/UDP is reached by 1 shop/web-* (3) 5432/TCP',
  );
  await page.keyboard.press('ArrowRight');
  expect(await words(side)).toMatch(/^shop\/web-\* \(3\) reaches 2/);
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  expect(await page.getByRole('button', { name: /^ops\/prometheus/ }).getAttribute('aria-pressed')).toBe('true');
  await page.keyboard.press('Escape');
  expect(await words(side)).toMatch(/^Choose pods/);
  assertQuiet(opened);
});

test('many pods are told by their namespaces in the graph', async () => {
  await using opened = await openSnapshot({ before: clusterOf(manyPods(200)) });
  await opened.page.getByRole('button', { name: 'Graph' }).click();
  await opened.page.getByText('Choose pods on the circle').waitFor();
  expect(await opened.page.locator('.leaf').count()).toBe(5);
  assertQuiet(opened);
});

test.for(['light', 'dark'] as const)('%s as the system asks, and the other by a switch', async (colorScheme) => {
  await using opened = await openShop({ before: shop }, colorScheme);
  const { page } = opened;
  const paper = () => page.evaluate<string>('getComputedStyle(document.documentElement).backgroundColor');
  const isLight = async () => Number(/\d+/.exec(await paper())?.[0]) > 128;
  expect(await isLight()).toBe(colorScheme === 'light');
  const other = colorScheme === 'light' ? 'dark' : 'light';
  await page.getByRole('button', { name: `Switch to ${other} colours` }).click();
  expect(await isLight()).toBe(other === 'light');
  assertQuiet(opened);
});

const HOSTILE = `</script><img src=x onerror="document.title='owned'"><style>*{display:none}</style>{{7*7}}`;

test('names and labels are text, whatever they say', async () => {
  // What the decoders would refuse: a page has to hold by itself.
  const hostilePods = [...shop.pods].map(([, each]) => ({
    ...each,
    name: `${each.name}${HOSTILE}`,
    labels: new Map([[HOSTILE, HOSTILE]]),
  }));
  const hostilePolicies = [...shop.policies].map(([, each]) => ({
    ...each,
    name: HOSTILE,
    podSelector: { matchLabels: new Map(), matchExpressions: [] },
  }));
  const cluster = {
    namespaces: shop.namespaces,
    pods: new Map(hostilePods.map((each) => [`${each.namespace}/${each.name}`, each])),
    policies: new Map(hostilePolicies.map((each) => [`${each.namespace}/${each.name}`, each])),
  };
  const places = new Map([...cluster.policies.keys()].map((key) => [key, `${HOSTILE}.yaml:1`]));
  await using opened = await openSnapshot({ before: cluster, places, source: `dir:${HOSTILE}` });
  const { page } = opened;
  await cellAt(page, '0,1').click();
  const panel = page.getByRole('complementary', { name: 'Explanation' });
  expect(await panel.innerText()).toContain(HOSTILE);
  await page.getByRole('button', { name: 'Graph' }).click();
  await page.locator('.leaf').first().click();
  expect(await page.title()).toBe('Who reaches whom');
  expect(await page.locator('img, #page style').count()).toBe(0);
  assertQuiet(opened);
});

test('a script that gets in all the same is not run', async () => {
  await using opened = await openShop();
  await opened.page.evaluate(`{
    const script = document.createElement('script');
    script.textContent = "document.title = 'owned'";
    document.body.append(script);
  }`);
  expect(await opened.page.title()).toBe('Who reaches whom');
  expect(opened.complaints.join()).toContain('Content Security Policy');
});

test.for([
  { colorScheme: 'light', view: 'Matrix' },
  { colorScheme: 'dark', view: 'Matrix' },
  { colorScheme: 'light', view: 'Graph' },
  { colorScheme: 'dark', view: 'Graph' },
] as const)('nothing is in the way of people with other senses: $view, $colorScheme', async ({ colorScheme, view }) => {
  await using opened = await openShop(change, colorScheme);
  const { page } = opened;
  await page.getByRole('button', { name: view }).click();
  await (view === 'Matrix' ? cellAt(page, '0,1') : page.locator('.leaf').first()).click();
  await page.evaluate(axe.source);
  const violations = await page.evaluate(async () => {
    const { axe: inPage } = globalThis as unknown as { readonly axe: typeof axe };
    return (await inPage.run()).violations.map(({ id, nodes }) => [
      id,
      ...nodes.map(({ html, any }) => `${html} ${any.map(({ message }) => message).join()}`),
    ]);
  });
  expect(violations).toEqual([]);
});
