import type { AttachmentId } from '../rules/pod.ts';
import type { Environment } from '../dataplane/tools.ts';
import { CniError } from './errors.ts';

/** A call about a container's interface that is there. */
export interface AttachmentCall {
  readonly command: 'ADD' | 'CHECK';
  readonly id: AttachmentId;
  readonly netns: string;
  readonly args: string;
}

/** A command with its parameters (CNI spec, section 2, "Parameters"). */
export type CniCall =
  | AttachmentCall
  | { readonly command: 'DEL'; readonly id: AttachmentId }
  | { readonly command: 'GC' }
  | { readonly command: 'STATUS' }
  | { readonly command: 'VERSION' };

type Command = CniCall['command'];
type Variable = 'CNI_CONTAINERID' | 'CNI_NETNS' | 'CNI_IFNAME';

// CNI_PATH is required by the spec too, but only who delegates to other plugins needs it; containerd leaves it empty at STATUS.
const REQUIRED: Readonly<Record<Command, readonly Variable[]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  GC: [],
  STATUS: [],
  VERSION: [],
};

const PROBLEM: Readonly<Record<Variable, (value: string) => string | undefined>> = {
  CNI_CONTAINERID: containerIdProblem,
  CNI_NETNS: () => undefined,
  CNI_IFNAME: ifNameProblem,
};

// A record's name is CONTAINERID:IFNAME, and a file name has at most 255 bytes.
const CONTAINER_ID_LENGTH = 239;

/** Returns the command and its parameters. Throws a CniError that names every variable that is missing or cannot be used. */
export function readCall(env: Environment): CniCall {
  const command = env['CNI_COMMAND'] ?? '';
  if (!isCommand(command))
    throw environmentError(command, [`CNI_COMMAND must be one of ${Object.keys(REQUIRED).join(', ')}`]);
  const problems = REQUIRED[command].flatMap((variable) => problemOf(variable, env) ?? []);
  if (problems.length > 0) throw environmentError(command, problems);
  const id = { containerId: env['CNI_CONTAINERID'] ?? '', ifName: env['CNI_IFNAME'] ?? '' };
  switch (command) {
    case 'ADD':
    case 'CHECK':
      return { command, id, netns: env['CNI_NETNS'] ?? '', args: env['CNI_ARGS'] ?? '' };
    case 'DEL':
      return { command, id };
    case 'GC':
    case 'STATUS':
    case 'VERSION':
      return { command };
  }
}

/** Returns what is wrong with a container's identity, or `undefined` (CNI spec, section 2, `CNI_CONTAINERID`). */
function containerIdProblem(value: string): string | undefined {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(value))
    return 'must begin with a letter or digit and hold only letters, digits, "_", "." and "-"';
  return value.length > CONTAINER_ID_LENGTH ? `must have at most ${CONTAINER_ID_LENGTH} characters` : undefined;
}

/** Returns what is wrong with the name of an interface, or `undefined` (linux, net/core/dev.c, `dev_valid_name`). */
function ifNameProblem(value: string): string | undefined {
  if (value === '.' || value === '..' || /[/:\s]/.test(value))
    return 'must not be "." or ".." and hold no "/", ":" or white space';
  return Buffer.byteLength(value) > 15 ? 'must have at most 15 bytes' : undefined;
}

function problemOf(variable: Variable, env: Environment): string | undefined {
  const value = env[variable] ?? '';
  const problem = value === '' ? 'is missing' : PROBLEM[variable](value);
  return problem === undefined ? undefined : `${variable} ${problem}`;
}

function environmentError(command: string, problems: readonly string[]): CniError {
  return new CniError('invalidEnvironment', {
    msg: `Cannot run ${JSON.stringify(command)}: ${problems.join('; ')}`,
    details: 'The container runtime calls plugins with these variables; see section 2 of the CNI specification',
  });
}

function isCommand(command: string): command is Command {
  return Object.hasOwn(REQUIRED, command);
}
