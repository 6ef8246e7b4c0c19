import { pino, type Logger } from 'pino';
import { prettyLine } from './prettyLine.ts';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
/** For machines, and for people. */
export const LOG_FORMATS = ['json', 'pretty'] as const;

export interface LogOptions {
  readonly logLevel: (typeof LOG_LEVELS)[number];
  readonly logFormat: (typeof LOG_FORMATS)[number];
}

/** Returns the agent's log: it goes to stderr, and what is logged is there before the agent goes on. */
export function agentLog({ logLevel, logFormat }: LogOptions): Logger {
  const stderr = pino.destination({ dest: 2, sync: true });
  const options = { level: logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  if (logFormat === 'json') return pino(options, stderr);
  return pino(options, { write: (line) => void stderr.write(prettyLine(line)) });
}
