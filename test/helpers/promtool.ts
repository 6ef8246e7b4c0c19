import { existsSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { env } from 'node:process';
import { execa } from 'execa';

// `make test` unpacks it there: the package would start a service.
const UNPACKED = resolve(import.meta.dirname, '../../.cache/debian/prometheus/usr/bin');

/** Where Prometheus' own checker is, or `undefined`: then "scripts/unpack.sh prometheus" fetches it. */
export const promtool = [UNPACKED, ...(env['PATH'] ?? '').split(delimiter)]
  .map((directory) => join(directory, 'promtool'))
  .find((path) => existsSync(path));

export interface Checked {
  readonly exitCode: number | undefined;
  /** All that it said. */
  readonly said: string;
}

/** Has it check something. */
export async function check(args: readonly string[], input = ''): Promise<Checked> {
  const { exitCode, all } = await execa(promtool ?? 'promtool', args, { input, reject: false, all: true });
  return { exitCode, said: all };
}

/** Returns the names of the metrics that an expression of PromQL reads. */
export function metricsIn(expression: string): readonly string[] {
  const bare = expression.replaceAll(/"[^"]*"/g, '""').replaceAll(/\b(?:by|on|without|ignoring) \([^)]*\)/g, '');
  const words = bare.replaceAll(/\{[^}]*\}/g, ' ').match(/\b(?:kube_nwplcy|process|nodejs)_\w+\b/g);
  return words ?? [];
}
