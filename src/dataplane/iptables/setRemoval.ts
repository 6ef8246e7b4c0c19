import { isOurSet, isRecordSet } from '../../rules/names.ts';
import { count, type Removed } from '../removed.ts';
import { spawnSync } from '../spawnSync.ts';
import { findTool, toolEnvironment, type Environment } from '../tools.ts';

/** Destroys our sets. One that a rule of others names cannot be: the others still are. */
export function removeSets({ env, dryRun }: { readonly env: Environment; readonly dryRun: boolean }): Removed {
  const from = 'ipset';
  const run = ipsetRunner(env);
  const present = ourSets(run);
  if (present.length === 0) return { from, what: undefined, problem: undefined };
  if (dryRun) return { from, what: count(present.length, 'set'), problem: undefined };
  if (run?.(['restore'], present.map((name) => `destroy ${name}\n`).join('')).status !== 0)
    for (const name of ourSets(run)) run?.(['destroy', name]);
  const left = ourSets(run);
  return {
    from,
    what: left.length === present.length ? undefined : count(present.length - left.length, 'set'),
    problem:
      left.length === 0
        ? undefined
        : `Cannot destroy ${left.join(', ')}: a rule names ${left.length === 1 ? 'it' : 'them'} that is not ours; remove that rule and run this again`,
  };
}

type IpsetRun =
  | ((args: readonly string[], input?: string) => { readonly status: number | null; readonly stdout: string })
  | undefined;

function ipsetRunner(env: Environment): IpsetRun {
  const file = findTool('ipset', env);
  if (file === undefined) return undefined;
  return (args, input = '') => spawnSync(file, args, { input, env: toolEnvironment(env), timeoutMs: 30_000 });
}

/** Only names are listed. A kernel without ipset has no sets. */
function ourSets(run: IpsetRun): readonly string[] {
  const names = run?.(['list', '-name']).stdout.split('\n') ?? [];
  return names.filter((name) => isOurSet(name) || isRecordSet(name));
}
