import { accessSync, constants, existsSync } from 'node:fs';

/** An environment, as `process.env` is one. */
export type Environment = Readonly<Record<string, string | undefined>>;

// Where Linux distributions keep system programs, for callers that were started without a PATH.
const USUAL_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Returns the absolute path of a program by the environment's `PATH`, or `undefined` where it is not installed. */
export function findTool(name: string, env: Environment): string | undefined {
  const directories = pathOf(env)
    .split(':')
    .filter((directory) => directory.startsWith('/'));
  return directories.map((directory) => `${directory}/${name}`).find(isExecutable);
}

/** Returns the environment that a program of the kernel's gets from us: no more than it needs, and messages in English. */
export function toolEnvironment(env: Environment): Readonly<Record<string, string>> {
  const lockFile = env['XTABLES_LOCKFILE'];
  return { PATH: pathOf(env), LC_ALL: 'C', ...(lockFile === undefined ? {} : { XTABLES_LOCKFILE: lockFile }) };
}

function pathOf(env: Environment): string {
  const path = env['PATH'];
  return path === undefined || path === '' ? USUAL_PATH : path;
}

function isExecutable(path: string): boolean {
  // In most directories it is not, and an error costs several times what the question does.
  if (!existsSync(path)) return false;
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
