import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { execa } from 'execa';
import { chromium, type Browser, type Page } from 'playwright-core';

// node scripts/screenshots.ts: makes the pictures in docs/images anew, of the shop in docs/example.

const SHOP = ['matrix', '--source', 'dir:docs/example/shop', '--output', 'html'];
const CHANGE = [...SHOP, '--diff', 'docs/example/change.yaml'];
const MOST_BYTES = 150_000;

interface Picture {
  readonly name: string;
  readonly args: readonly string[];
  readonly colorScheme: 'light' | 'dark';
  readonly height: number;
  readonly prepare: (page: Page) => Promise<void>;
}

const PICTURES: readonly Picture[] = [
  {
    name: 'matrix-light',
    args: SHOP,
    colorScheme: 'light',
    height: 990,
    prepare: (page) => cell(page, /^shop\/web.* to shop\/cart.* 8080/).hover(),
  },
  {
    name: 'matrix-dark',
    args: SHOP,
    colorScheme: 'dark',
    height: 990,
    prepare: (page) => cell(page, /^shop\/web.* to shop\/cart.* 8080/).hover(),
  },
  {
    name: 'matrix-explained',
    args: SHOP,
    colorScheme: 'light',
    height: 990,
    prepare: (page) => cell(page, /^shop\/catalog.* to shop\/redis/).click(),
  },
  {
    name: 'matrix-change',
    args: CHANGE,
    colorScheme: 'light',
    height: 1060,
    prepare: (page) => cell(page, /^shop\/catalog.* to shop\/redis/).click(),
  },
  {
    name: 'matrix-graph',
    args: SHOP,
    colorScheme: 'dark',
    height: 990,
    prepare: async (page) => {
      await page.getByRole('button', { name: 'Graph' }).click();
      await page.getByRole('button', { name: /^shop\/cart/ }).click();
    },
  },
];

const folder = await mkdtemp(join(tmpdir(), 'nwplcy-pictures-'));
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-lcd-text'],
});
try {
  for (const picture of PICTURES) await take(browser, picture);
} finally {
  await browser.close();
  await rm(folder, { recursive: true });
}

async function take(from: Browser, { name, args, colorScheme, height, prepare }: Picture): Promise<void> {
  const file = join(folder, `${name}.html`);
  await writeFile(file, (await execa(execPath, ['src/main.ts', ...args])).stdout);
  const page = await from.newPage({ viewport: { width: 1280, height }, colorScheme, reducedMotion: 'reduce' });
  await page.goto(`file://${file}`);
  await page.getByRole('grid').waitFor();
  await prepare(page);
  const path = `docs/images/${name}.png`;
  await page.screenshot({ path });
  await page.close();
  // Few colours look the same here, and are a third of the bytes.
  await execa('pngquant', ['--force', '--ext', '.png', '--quality', '80-100', path]);
  const { size } = await stat(path);
  if (size > MOST_BYTES) throw new Error(`Cannot keep ${path}: it has ${size} bytes, and ${MOST_BYTES} are enough`);
}

function cell(page: Page, label: RegExp) {
  return page.getByRole('gridcell', { name: label }).first();
}
