import { Gauge, type Registry } from 'prom-client';
import { PREFIX } from './group.ts';

/** What runs, and by what. */
export interface BuildInfo {
  /** As `--version` prints it: `0.1.0 (commit 1a2b3c4d5e6f, node v26.10.0)`. */
  readonly version: string;
  readonly backend: string;
}

/** Adds the metric that is always 1 and tells by its labels what runs. */
export function addBuildInfo(registry: Registry, { version, backend }: BuildInfo): void {
  const [, release = version, commit = ''] = /^(\S+)(?: \(commit ([^,)]*))?/.exec(version) ?? [];
  const info = new Gauge({
    name: `${PREFIX}build_info`,
    help: 'What runs: always 1, the labels tell',
    labelNames: ['version', 'commit', 'node_version', 'backend'],
    registers: [registry],
  });
  info.set({ version: release, commit, node_version: process.version, backend }, 1);
}
