import { spawnSync } from './spawnSync.ts';
import { findTool, toolEnvironment, type Environment } from './tools.ts';

const COMMAND_LIMIT_MS = 10_000;

/** What a program printed, or why there is nothing that it printed. */
export type ToolOutput =
  | { readonly kind: 'printed'; readonly text: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'failed'; readonly why: string };

/** Runs a program that takes no input, to its end, and returns what it printed on stdout. */
export function toolOutput(name: string, args: readonly string[], env: Environment): ToolOutput {
  const file = name.startsWith('/') ? name : findTool(name, env);
  if (file === undefined) return { kind: 'absent' };
  const end = spawnSync(file, args, { input: '', env: toolEnvironment(env), timeoutMs: COMMAND_LIMIT_MS });
  if (end.status === 0) return { kind: 'printed', text: end.stdout };
  const said = end.stderr.split('\n').find((line) => line.trim() !== '' && !line.startsWith('# Warning'));
  return { kind: 'failed', why: said?.trim() ?? end.error?.code ?? end.signal ?? `exit code ${end.status}` };
}
