import type { Environment } from './tools.ts';

/** A program that rules are written by is not installed, or not where PATH leads. */
export class ToolMissingError extends Error {
  override readonly name = 'ToolMissingError';
  /** What to do about it. */
  readonly advice: string;

  constructor(
    what: string,
    { program, install, env }: { readonly program: string; readonly install: string; readonly env: Environment },
  ) {
    super(`Cannot ${what}: ${program} is not installed`);
    this.advice = `Install ${install}, or have the container runtime start plugins with a PATH that leads to it; it is ${JSON.stringify(env['PATH'] ?? '')}`;
  }
}
