import { InvalidArgumentError } from 'commander';

const UNITS = { ms: 1, s: 1000, m: 60_000 } as const;

/** Returns a duration such as `500ms`, `10s` or `2m` in milliseconds. Throws commander's InvalidArgumentError. */
export function parseDuration(text: string): number {
  const [, number, unit] = /^([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m)$/.exec(text) ?? [];
  if (number === undefined || unit === undefined)
    throw new InvalidArgumentError('expected a number with a unit, e.g. 500ms, 10s or 2m');
  return Number(number) * UNITS[unit as keyof typeof UNITS];
}
