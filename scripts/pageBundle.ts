import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { build } from 'esbuild';
import type { PageAsset } from '../src/page/pageDocument.ts';

const ENTRIES = { script: 'src/browser/main.tsx', style: 'src/browser/page.css' } as const;

/** Bundles what every page is made of: one script and one style sheet, which load nothing. */
export async function bundlePage(): Promise<PageAsset> {
  const [script, style] = await Promise.all([textOf(ENTRIES.script), textOf(ENTRIES.style)]);
  return { script, style, scriptHash: hashOf(script), styleHash: hashOf(style) };
}

async function textOf(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [resolve(import.meta.dirname, '..', entry)],
    bundle: true,
    write: false,
    minify: true,
    format: 'iife',
    target: 'es2024',
    tsconfig: resolve(import.meta.dirname, '../src/browser/tsconfig.json'),
    legalComments: 'none',
    logLevel: 'warning',
  });
  const text = outputFiles[0]?.text ?? '';
  // It stands between tags: nothing in it may end them. esbuild writes "<\/script" by itself.
  if (/<\/(?:script|style)|<!--/i.test(text))
    throw new Error(`Cannot bundle "${entry}": it has a tag that would end it`);
  return text;
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
