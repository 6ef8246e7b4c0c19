import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, type BuildOptions, type Metafile, type Plugin } from 'esbuild';
import { execa } from 'execa';
import { bundlePage } from './pageBundle.ts';

/** What is packed, each one file: what runs first, what that loads by name as one of the executable's assets, and what pages are made of. */
export interface Bundles {
  readonly main: string;
  readonly loaded: Readonly<Record<string, string>>;
  readonly page: string;
}

// What the plugin may load: all of it is in Node's startup snapshot. Anything else costs every ADD (node:crypto alone nearly doubles it).
const PLUGIN_MODULES = ['node:buffer', 'node:fs', 'node:path', 'node:util'];

/** Bundles the entry, the plugin, the command line with the agent, and the page into `folder`. */
export async function bundle(folder: string): Promise<Bundles> {
  const main = join(folder, 'main.cjs');
  const plugin = join(folder, 'plugin.cjs');
  const commandLine = join(folder, 'commandLine.cjs');
  const options = {
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node26',
    define: { BUILD_COMMIT: JSON.stringify(await commit()) },
    logLevel: 'warning',
    metafile: true,
  } as const satisfies BuildOptions;
  // An expression: the function that src/packed.ts calls.
  const wrapper = { banner: { js: '(function (module, require) {' }, footer: { js: '})' } } as const;
  const onEveryCall = await Promise.all([
    build({
      ...options,
      entryPoints: ['src/main.ts'],
      outfile: main,
      external: ['./cli/main.ts', './cni/plugin.ts'], // imported only when the sources run as they are
    }),
    build({ ...options, ...wrapper, entryPoints: ['src/cni/plugin.ts'], outfile: plugin }),
  ]);
  for (const { metafile } of onEveryCall) checkModules(metafile);
  await build({
    ...options,
    ...wrapper,
    entryPoints: ['src/cli/main.ts'],
    plugins: [kubeConfigOnly],
    external: ['../../scripts/pageBundle.ts'], // the executable has the page as an asset
    outfile: commandLine,
  });
  const page = join(folder, 'page.json');
  await writeFile(page, JSON.stringify(await bundlePage()));
  return { main, loaded: { plugin, commandLine }, page };
}

// Of the Kubernetes client only KubeConfig is used, and of that neither `makeApiClient` nor what is for `fetch`: the generated API and undici are
// 2.4 MB that every command would carry.
const UNUSED: ReadonlyMap<RegExp, readonly string[]> = new Map([
  [/client-node\/dist\/gen\/index\.js$/, ['createConfiguration', 'ServerConfiguration']],
  [/client-node\/dist\/middleware\.js$/, ['setHeaderMiddleware']],
  [/node_modules\/undici\/index\.js$/, ['Agent', 'ProxyAgent']],
]);

const kubeConfigOnly: Plugin = {
  name: 'kubeConfigOnly',
  setup(into) {
    for (const [filter, names] of UNUSED)
      into.onLoad({ filter }, () => ({
        contents: names.map((name) => `export const ${name} = undefined;`).join('\n'),
      }));
  },
};

function checkModules({ outputs }: Metafile): void {
  const required = Object.values(outputs).flatMap(({ imports }) =>
    imports.filter(({ kind }) => kind === 'require-call'),
  );
  const dear = required.map(({ path }) => path).filter((path) => !PLUGIN_MODULES.includes(path));
  if (dear.length > 0)
    throw new Error(
      `Cannot bundle the plugin: it loads ${dear.join(', ')}, and may load only ${PLUGIN_MODULES.join(', ')}`,
    );
}

// `sudo make demo` in a clone of one's own.
const ANYBODYS = ['-c', 'safe.directory=*'];

async function commit(): Promise<string> {
  try {
    const { stdout: head } = await execa('git', [...ANYBODYS, 'rev-parse', '--short=12', 'HEAD']);
    const { stdout: changes } = await execa('git', [...ANYBODYS, 'status', '--porcelain']);
    return changes === '' ? head : `${head} with changes`;
  } catch {
    return 'unknown'; // a source archive
  }
}
