import type { Environment } from '../dataplane/tools.ts';
import { add } from './add.ts';
import { check } from './check.ts';
import { decodeConfig, requireNone, type ConfigProblem } from './config.ts';
import type { Context } from './context.ts';
import { detach } from './detach.ts';
import { readCall, type CniCall } from './env.ts';
import { toCniError } from './errors.ts';
import { gc } from './gc.ts';
import { readInput, type Input } from './input.ts';
import { createLog } from './pluginLog.ts';
import { status } from './status.ts';
import { isSupported, NEWEST_VERSION, requireCommand, requireVersion, versionResult } from './version.ts';

export interface PluginCall {
  readonly env: NodeJS.ProcessEnv;
  /** Reads stdin whole; called once at most, and only when it is needed. */
  readonly stdin: () => string;
}

export interface PluginOutcome {
  readonly exitCode: number;
  readonly stdout: string;
}

/** Runs one call of a container runtime (CNI spec, section 2) and returns what to print and how to exit. Never throws. */
export function runPlugin({ env, stdin }: PluginCall): PluginOutcome {
  const text = once(stdin);
  try {
    return { exitCode: 0, stdout: run(env, text) };
  } catch (error) {
    const { code, message, details } = toCniError(error);
    return { exitCode: 1, stdout: `${JSON.stringify({ cniVersion: versionOf(text), code, msg: message, details })}\n` };
  }
}

function run(env: Environment, stdin: () => string): string {
  const call = readCall(env);
  if (call.command === 'VERSION')
    return `${versionResult(stdin().trim() === '' ? undefined : readInput(stdin).fields['cniVersion'])}\n`;
  const input = readInput(stdin);
  const version = requireVersion(input.fields['cniVersion']);
  if (call.command === 'CHECK') requireCommand('CHECK', { version, since: '0.4.0' });
  if (call.command === 'GC' || call.command === 'STATUS') requireCommand(call.command, { version, since: '1.1.0' });
  const { config, problems } = decodeConfig(input.fields);
  requireNone(problems.filter((problem) => matters(problem, call)));
  const log = createLog({ level: config.logLevel, file: config.logFile });
  try {
    return perform({ config, env, log }, { call, input });
  } catch (error) {
    const { code, message, details } = toCniError(error);
    log('error', message, { command: call.command, code, details });
    throw error;
  }
}

/** What ADD has put there must go, whatever the configuration has become since, as long as it can be found. */
function matters({ key }: ConfigProblem, { command }: CniCall): boolean {
  return command !== 'DEL' || key === 'runtimeDir' || key === 'backend';
}

function perform(
  context: Context,
  { call, input }: { readonly call: Exclude<CniCall, { readonly command: 'VERSION' }>; readonly input: Input },
): string {
  switch (call.command) {
    case 'ADD':
      return `${add(context, { call, input })}\n`;
    case 'CHECK':
      check(context, { call, input });
      return '';
    case 'DEL':
      detach(context, call.id);
      return '';
    case 'GC':
      gc(context, input);
      return '';
    case 'STATUS':
      status(context);
      return '';
  }
}

/** An error comes back in the configuration's version where that is known and spoken here. */
function versionOf(stdin: () => string): string {
  try {
    const { cniVersion } = readInput(stdin).fields;
    return isSupported(cniVersion) ? cniVersion : NEWEST_VERSION;
  } catch {
    return NEWEST_VERSION;
  }
}

function once(read: () => string): () => string {
  let text: string | undefined;
  return () => (text ??= read());
}
