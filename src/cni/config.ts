import type { Backend } from '../dataplane/backend.ts';
import { BACKENDS } from '../dataplane/backend.ts';
import { DEFAULT_RUNTIME_DIR } from '../rendezvous/runtimeDir.ts';
import { DEFAULT_MARK_MASK, parseMarkMask } from '../rules/mark.ts';
import { CniError } from './errors.ts';
import { LOG_LEVELS, type LogLevel } from './pluginLog.ts';

/** The plugin's configuration as the runtime passes it on stdin. */
export interface PluginConfig {
  /** The network's name. */
  readonly name: string;
  readonly runtimeDir: string;
  readonly backend: 'auto' | Backend;
  readonly whenAgentDown: 'deny' | 'allow';
  readonly agentTimeoutMs: number;
  readonly markMask: number;
  readonly logLevel: LogLevel;
  readonly logFile: string | undefined;
}

/** A JSON object as it came. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Something about the configuration that cannot be used. */
export interface ConfigProblem {
  readonly key: string;
  readonly text: string;
}

// Keys of the spec (section 1 and 3) that tell us nothing: for others of the chain, for the runtime, or put in by it.
const STANDARD_KEYS = new Set([
  'cniVersion',
  'cniVersions',
  'name',
  'type',
  'prevResult',
  'runtimeConfig',
  'capabilities',
  'args',
  'ipMasq',
  'ipam',
  'dns',
  'disableCheck',
  'disableGC',
  'loadOnlyInlinedPlugins',
]);
const OUR_KEYS = new Set([
  'runtimeDir',
  'backend',
  'whenAgentDown',
  'agentTimeoutMs',
  'markMask',
  'logLevel',
  'logFile',
]);

const LONGEST_TIMEOUT_MS = 60_000;

/** Returns the configuration with its defaults, and all that is wrong with it; what is wrong has its default's value. */
export function decodeConfig(fields: JsonObject): {
  readonly config: PluginConfig;
  readonly problems: readonly ConfigProblem[];
} {
  const problems: ConfigProblem[] = [];
  const read = <T>(key: string, { parse, otherwise, wanted }: Field<T>): T => {
    const value = fields[key];
    if (value === undefined) return otherwise;
    const parsed = parse(value);
    if (parsed === undefined) problems.push({ key, text: `"${key}" must be ${wanted}, not ${shown(value)}` });
    return parsed ?? otherwise;
  };
  const config = {
    name: read('name', NETWORK_NAME),
    runtimeDir: read('runtimeDir', { ...ABSOLUTE_PATH, otherwise: DEFAULT_RUNTIME_DIR }),
    backend: read('backend', oneOf(['auto', ...BACKENDS])),
    whenAgentDown: read('whenAgentDown', oneOf(['deny', 'allow'])),
    agentTimeoutMs: read('agentTimeoutMs', TIMEOUT),
    markMask: read('markMask', MARK_MASK),
    logLevel: read('logLevel', { ...oneOf(LOG_LEVELS), otherwise: 'info' as const }),
    logFile: read('logFile', { ...ABSOLUTE_PATH, otherwise: undefined }),
  };
  return { config, problems: [...missingProblems(fields), ...problems, ...unknownProblems(fields)] };
}

/** Throws a CniError that tells all problems at once. */
export function requireNone(problems: readonly ConfigProblem[]): void {
  if (problems.length === 0) return;
  throw new CniError('invalidConfig', {
    msg: `Cannot use the network configuration: ${problems.map(({ text }) => text).join('; ')}`,
    details: `Correct ${problems.map(({ key }) => `"${key}"`).join(', ')} in the conflist; kube-nwplcy knows ${[...OUR_KEYS].join(', ')}`,
  });
}

interface Field<T> {
  readonly parse: (value: unknown) => T | undefined;
  readonly otherwise: T;
  readonly wanted: string;
}

const NETWORK_NAME: Field<string> = {
  parse: (value) => (typeof value === 'string' && /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(value) ? value : undefined),
  otherwise: '',
  wanted: 'a network name of letters, digits, "_", "." and "-"',
};

const ABSOLUTE_PATH = {
  parse: (value: unknown) => (typeof value === 'string' && /^\/[^\0]*$/.test(value) ? value : undefined),
  wanted: 'an absolute path',
};

const TIMEOUT: Field<number> = {
  parse: (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= LONGEST_TIMEOUT_MS
      ? value
      : undefined,
  otherwise: 2000,
  wanted: `a whole number of milliseconds from 0 to ${LONGEST_TIMEOUT_MS}`,
};

const MARK_MASK: Field<number> = {
  parse: (value) => (typeof value === 'string' || typeof value === 'number' ? parseMarkMask(String(value)) : undefined),
  otherwise: DEFAULT_MARK_MASK,
  wanted: 'a mask of 8 to 31 neighbouring bits such as "0xffff0000"',
};

function oneOf<const T extends string>(values: readonly [T, ...T[]]): Field<T> {
  return {
    parse: (value) => values.find((known) => known === value),
    otherwise: values[0],
    wanted: `one of ${values.map((value) => `"${value}"`).join(', ')}`,
  };
}

function missingProblems(fields: JsonObject): readonly ConfigProblem[] {
  const missing = ['name', 'type']
    .filter((key) => fields[key] === undefined)
    .map((key) => ({ key, text: `"${key}" is missing` }));
  const badType = fields['type'] !== undefined && typeof fields['type'] !== 'string';
  return badType
    ? [...missing, { key: 'type', text: `"type" must be a plugin's name, not ${shown(fields['type'])}` }]
    : missing;
}

function unknownProblems(fields: JsonObject): readonly ConfigProblem[] {
  const unknown = Object.keys(fields).filter(
    (key) => !STANDARD_KEYS.has(key) && !OUR_KEYS.has(key) && !key.startsWith('cni.dev/'),
  );
  return unknown.map((key) => ({ key: shown(key).slice(1, -1), text: `${shown(key)} is unknown` }));
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? '';
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
