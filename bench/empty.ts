import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { arch } from 'node:process';
import { isArch, strippedNode } from '../scripts/nodeBinary.ts';
import { pack } from '../scripts/pack.ts';

// node bench/empty.ts OUTPUT: packs, as the product is packed, a program that prints `{}` in the quickest way there is: what any plugin of this
// format costs at least.

const [output] = process.argv.slice(2);
if (output === undefined) throw new Error('Cannot pack the empty program: OUTPUT is wanted');
if (!isArch(arch)) throw new Error(`Cannot pack the empty program for "${arch}"`);
await mkdir('.cache', { recursive: true });
const folder = await mkdtemp('.cache/empty-');
try {
  const bundles = { main: `${folder}/main.cjs`, loaded: {}, page: `${folder}/page.json` };
  await writeFile(bundles.page, '');
  await writeFile(bundles.main, "require('node:fs').writeSync(1, '{}\\n'); process.reallyExit(0);\n");
  await pack(bundles, { arch, node: await strippedNode(arch), executable: `${folder}/empty` });
  await rename(`${folder}/empty`, output);
} finally {
  await rm(folder, { recursive: true });
}
