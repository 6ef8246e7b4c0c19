import { resolve } from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

test('the plugin loads no library: each costs every ADD milliseconds', async () => {
  const entryPoint = resolve(import.meta.dirname, '../../src/cni/plugin.ts');
  const { metafile } = await build({
    entryPoints: [entryPoint],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
  });
  expect(Object.keys(metafile.inputs).filter((path) => path.includes('node_modules'))).toEqual([]);
});
