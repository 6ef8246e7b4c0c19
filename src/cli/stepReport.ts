import { printable } from '../net/quote.ts';
import { isChange, stepText, type Outcome } from '../install/step.ts';
import type { CommandIo } from './io.ts';

/** How an outcome is told. */
export interface ReportOptions {
  readonly dryRun: boolean;
  readonly output: 'text' | 'json';
}

/** Tells what was done on stdout, and what to know and what went wrong on stderr; all of it as one line of JSON on stdout if that is wanted. */
export function report(outcome: Outcome, { io, dryRun, output }: ReportOptions & { readonly io: CommandIo }): void {
  const { steps, notes, problems } = outcome;
  if (output === 'json') {
    const changed = steps.some(isChange);
    io.stdout(`${JSON.stringify({ dryRun, changed, steps, notes, problems })}\n`);
    return;
  }
  for (const step of steps) io.stdout(`${printable(stepText(step, { dryRun }).trimEnd())}\n`);
  for (const note of notes) io.stderr(`Note: ${note}\n`);
  for (const problem of problems) io.stderr(`${problem}\n`);
}
