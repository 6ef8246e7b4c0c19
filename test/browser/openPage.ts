import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContextOptions, type Locator, type Page } from 'playwright-core';
import { afterAll, expect } from 'vitest';
import { pageAsset } from '../../src/cli/pageAsset.ts';
import { snapshotJson, type Snapshot } from '../../src/page/pageData.ts';
import { pageDocument } from '../../src/page/pageDocument.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'nwplcy-page-'));
let started: Promise<Browser> | undefined;
let files = 0;

afterAll(async () => {
  await (await started)?.close();
  rmSync(ROOT, { recursive: true });
});

/** A page in a real browser, with all that it said and asked for. */
export interface OpenPage extends AsyncDisposable {
  readonly page: Page;
  /** Errors, warnings and refusals of its Content-Security-Policy. */
  readonly complaints: readonly string[];
  /** What it asked for beside itself. */
  readonly requests: readonly string[];
}

/** Opens an address in a browser. Goes with `await using`. */
export async function openAddress(address: string, options: BrowserContextOptions = {}): Promise<OpenPage> {
  // Its own sandbox wants namespaces that root in a container may not have; what it opens is ours.
  started ??= chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  const context = await (await started).newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(`thrown: ${error.message}`));
  page.on('request', (request) => {
    const url = request.url();
    if (url !== address && !url.startsWith('data:')) requests.push(url);
  });
  await page.goto(address);
  return { page, complaints, requests, [Symbol.asyncDispose]: () => context.close() };
}

/** Writes the page of a snapshot, as `matrix --output html` does, and opens it. */
export async function openSnapshot(
  snapshot: Pick<Snapshot, 'before'> & Partial<Snapshot>,
  options: BrowserContextOptions = {},
): Promise<OpenPage> {
  const data = snapshotJson({ source: 'dir:test', options: {}, places: new Map(), after: undefined, ...snapshot });
  const file = join(ROOT, `${(files += 1)}.html`);
  writeFileSync(file, pageDocument(await pageAsset(), data, { connect: false }));
  return openAddress(`file://${file}`, options);
}

/** Asserts that a page was content and asked nobody for anything. */
export function assertQuiet({ complaints, requests }: OpenPage): void {
  expect(complaints).toEqual([]);
  expect(requests).toEqual([]);
}

/** Returns the cell of a row and a column, from 0. */
export function cellAt(page: Page, place: string): Locator {
  return page.locator(`[data-place="${place}"]`);
}

/** Returns the text of an element in one line, as people read it. */
export async function words(of: Locator): Promise<string> {
  return oneLine(await of.innerText());
}

/** Returns a text with each stretch of white space as one space. */
export function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
