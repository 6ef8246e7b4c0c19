import { printable } from '../net/quote.ts';

// pino's numbers.
const LEVELS: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
};

/**
 * Returns a line of the log as people read it: when, how bad, what, and the fields; below it where an error came from. Names and messages come from
 * outside: nothing of them moves a cursor or begins a line.
 */
export function prettyLine(line: string): string {
  const entry = parsed(line);
  if (entry === undefined) return `${printable(line.trimEnd())}\n`;
  const { time, level, msg, err, ...fields } = entry;
  const told = Object.entries(fields).map(([name, value]) => `${printable(name)}=${valueText(value)}`);
  const head = [textOf(time), (LEVELS[Number(level)] ?? textOf(level)).padEnd(5), textOf(msg)];
  return [[...head, ...told].join(' '), ...errorLines(err)].map((text) => `${text}\n`).join('');
}

function parsed(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? printable(value) : valueText(value);
}

/** A plain word stays as it is; what has spaces in it is quoted. */
function valueText(value: unknown): string {
  if (typeof value === 'string' && /^[^\s"=]+$/.test(value)) return printable(value);
  return printable(JSON.stringify(value) ?? '');
}

/** The stack begins with the message. */
function errorLines(err: unknown): readonly string[] {
  if (typeof err !== 'object' || err === null) return err === undefined ? [] : [`    ${valueText(err)}`];
  const { stack, message } = err as { readonly stack?: unknown; readonly message?: unknown };
  const text = typeof stack === 'string' ? stack : typeof message === 'string' ? message : JSON.stringify(err);
  return text.split('\n').map((line) => `    ${printable(line.trim())}`);
}
