import { readFileSync, writeFileSync } from 'node:fs';
import { Script } from 'node:vm';
import type * as CommandLine from '../src/cli/main.ts';

// codeCache.ts BUNDLE OUTPUT: writes V8's code cache of the command line's bundle, as src/main.ts loads it, for the Node and the flags it runs
// under. What `--help` compiles is in it: a cache made before the first run would hold little more than the outermost functions.

const [bundle, output] = process.argv.slice(2);
if (bundle === undefined || output === undefined)
  throw new Error('Cannot make a code cache: BUNDLE and OUTPUT are wanted');
const script = new Script(readFileSync(bundle, 'latin1'), { filename: 'commandLine.cjs' });
const module: { exports?: typeof CommandLine } = {};
const run = script.runInThisContext() as (...args: unknown[]) => void;
run(module, (name: string) => process.getBuiltinModule(name));
await module.exports?.runCommandLine(['--help'], {
  stdout: () => undefined,
  stderr: () => undefined,
  env: {},
  executable: undefined,
});
writeFileSync(output, script.createCachedData());
