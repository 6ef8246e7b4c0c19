import type { PageAsset } from '../page/pageDocument.ts';

/** Returns what pages are made of: the executable holds it as an asset, by this name; where the sources run as they are, it is bundled now. */
export async function pageAsset(): Promise<PageAsset> {
  const sea = process.getBuiltinModule('node:sea');
  if (sea.isSea()) return JSON.parse(sea.getAsset('page', 'utf8')) as PageAsset;
  const { bundlePage } = await import('../../scripts/pageBundle.ts');
  return bundlePage();
}
