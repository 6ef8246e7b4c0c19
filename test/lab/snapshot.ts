import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Run } from './run.ts';

/** What a network namespace's netfilter holds, by the command that shows it; comments, dates, counters and what packets have put into sets are left out. */
export type NetfilterSnapshot = Readonly<Record<string, string>>;

const COMMANDS: readonly (readonly string[])[] = [
  ['iptables-nft-save'],
  ['ip6tables-nft-save'],
  ['iptables-legacy-save'],
  ['ip6tables-legacy-save'],
  ['ipset', 'save', '-sorted'],
  ['nft', '--stateless', 'list', 'ruleset'],
];

export async function netfilterSnapshot(run: Run): Promise<NetfilterSnapshot> {
  const snapshot: Record<string, string> = {};
  for (const argv of COMMANDS) snapshot[argv.join(' ')] = withoutNoise((await run(argv)).stdout);
  return snapshot;
}

const NOTED_BY_NFT = /^(\tset (?:denied|audited)-\S+ \{\n(?:\t\t(?!elements).*\n)*)\t\telements = \{[^}]*\}\n/gm;
const NOTED_BY_IPSET = /^add NWPLCY[46]-(?:DENIED|AUDITED)-.*\n/gm;

/** Returns a text of ipset or nft without what packets have put into sets. */
export function withoutNoted(text: string): string {
  return text.replaceAll(NOTED_BY_NFT, '$1').replaceAll(NOTED_BY_IPSET, '');
}

function withoutNoise(text: string): string {
  const lines = withoutNoted(text)
    .split('\n')
    .filter((line) => !line.startsWith('#'));
  return lines.map((line) => line.replace(/\[\d+:\d+\]/, '[0:0]')).join('\n');
}

/** Returns the files under a directory by their path in it, with their text. */
export function filesSnapshot(directory: string): Readonly<Record<string, string>> {
  if (!existsSync(directory)) return {};
  const entries = readdirSync(directory, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).toSorted();
  return Object.fromEntries(paths.map((path) => [path.slice(directory.length + 1), readFileSync(path, 'utf8')]));
}
