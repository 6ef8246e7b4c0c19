import type * as CommandLine from './cli/main.ts';
import type * as Plugin from './cni/plugin.ts';

/** The bundles that the executable loads, by name: what each exports. */
interface PackedBundles {
  readonly plugin: typeof Plugin;
  readonly commandLine: typeof CommandLine;
}

/**
 * Returns what a bundle in this executable exports, or `undefined` where the sources run as they are. A bundle is an expression: a function of
 * `module` and `require`. It comes with a code cache, so that nothing in it is compiled that was compiled when it was packed; V8 takes that
 * under the flags that it was made with, and so for everybody but the agent.
 */
export function loadPacked<Name extends keyof PackedBundles>(name: Name): PackedBundles[Name] | undefined {
  const sea = process.getBuiltinModule('node:sea');
  if (!sea.isSea()) return undefined;
  const { Script } = process.getBuiltinModule('node:vm');
  const script = new Script(Buffer.from(sea.getRawAsset(name)).toString('latin1'), {
    filename: `${name}.cjs`,
    cachedData: Buffer.from(sea.getRawAsset(`${name}CodeCache`)),
  });
  const module: { exports?: PackedBundles[Name] } = {};
  const run: unknown = script.runInThisContext();
  if (typeof run === 'function')
    Reflect.apply(run, undefined, [module, (required: string) => process.getBuiltinModule(required)]);
  if (module.exports === undefined) throw new Error(`Cannot load "${name}": its bundle exports nothing`);
  return module.exports;
}
