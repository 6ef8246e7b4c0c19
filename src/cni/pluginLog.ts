import { appendFileSync, writeSync } from 'node:fs';

/** The levels, least important first, named as the agent's log names them. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** Writes one line: what happened, and to whom. */
export type Log = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;

const STDERR = 2;

/**
 * Returns a log of JSON lines, appended to `file` (for root only) or else, from warnings up, to stderr: stdout belongs to the result (CNI
 * spec, section 5). That it cannot be written fails no call.
 */
export function createLog({ level, file }: { readonly level: LogLevel; readonly file: string | undefined }): Log {
  const least = Math.max(LOG_LEVELS.indexOf(level), file === undefined ? LOG_LEVELS.indexOf('warn') : 0);
  return (lineLevel, message, fields = {}) => {
    if (LOG_LEVELS.indexOf(lineLevel) < least) return;
    const line = `${JSON.stringify({ level: lineLevel, time: new Date().toISOString(), msg: message, ...fields })}\n`;
    try {
      if (file === undefined) writeSync(STDERR, line);
      else appendFileSync(file, line, { mode: 0o600 });
    } catch {
      // There is nowhere left to tell it.
    }
  };
}
