import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Script } from 'node:vm';
import type * as CommandLine from '../src/cli/main.ts';
import type * as Plugin from '../src/cni/plugin.ts';
import { callPlugin } from './pluginCalls.ts';

// codeCache.ts BUNDLE OUTPUT: writes V8's code cache of a bundle, as src/packed.ts loads it, for the Node and the flags it runs under. What is called
// here is in it, compiled: a cache made before the first run would hold little more than the outermost functions.

const [bundle, output] = process.argv.slice(2);
if (bundle === undefined || output === undefined)
  throw new Error('Cannot make a code cache: BUNDLE and OUTPUT are wanted');
const script = new Script(readFileSync(bundle, 'latin1'), { filename: basename(bundle) });
const module: { exports?: Partial<typeof CommandLine & typeof Plugin> } = {};
const run = script.runInThisContext() as (...args: unknown[]) => void;
run(module, (name: string) => process.getBuiltinModule(name));
const { runCommandLine, runPlugin } = module.exports ?? {};
if (runPlugin !== undefined) callPlugin(runPlugin);
const silent = { stdout: () => undefined, stderr: () => undefined, env: {}, executable: undefined };
await runCommandLine?.(['--help'], silent);
writeFileSync(output, script.createCachedData());
