import type { LabNode } from '../lab/node.ts';
import { netfilterSnapshot } from '../lab/snapshot.ts';

/**
 * Returns a node's netfilter, by command and line, without what differs by the way that led there: the generation, the order of chains, hooks
 * and the profiles' index. Rules of other chains keep their order.
 */
export async function settledSnapshot({ run }: LabNode): Promise<Readonly<Record<string, readonly string[]>>> {
  const snapshot = await netfilterSnapshot(run);
  return Object.fromEntries(Object.entries(snapshot).map(([command, text]) => [command, settledLines(text)]));
}

/**
 * Returns a text in which the generation is called MARK, in the words of iptables and of nft, and without the older ones that stand dead behind
 * it.
 */
export function withoutGeneration(text: string): string {
  return withoutOldGenerations(text)
    .replaceAll(/0x[0-9a-f]+\/0xffff0000/g, 'MARK')
    .replaceAll(/(ct mark and 0xffff0000 == |ct mark xor )0x[0-9a-f]+/g, '$1MARK');
}

/** Returns a text without the older generations, in the words of iptables and of nft. */
export function withoutOldGenerations(text: string): string {
  return text
    .replaceAll(/^(-A KUBE-NWPLCY-CHAIN -j RETURN\n)(?:-A KUBE-NWPLCY-CHAIN .*\n)+/gm, '$1')
    .replaceAll(/^(\tchain KUBE-NWPLCY-CHAIN \{\n(?:\t\t.*\n)*?\t\tcounter return\n)(?:\t\t.*\n)+/gm, '$1');
}

/** Returns one command's lines of a settled snapshot. */
export function settledLines(text: string): readonly string[] {
  // A set that is made anew hashes by another seed.
  const lines = withoutGeneration(text)
    .replaceAll(/ initval \S+/g, '')
    .split('\n');
  const keyed = lines.map((line) => ({ line, key: sortKey(line) }));
  return keyed.toSorted((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key))).map(({ line }) => line);
}

const UNORDERED = new Set(['NWPLCY-INGRESS', 'NWPLCY-EGRESS', 'NWPLCY-PROFILES']);

function sortKey(line: string): string {
  const chain = /^-A (\S+)/.exec(line)?.[1];
  return chain === undefined || UNORDERED.has(chain) ? line : `-A ${chain}`;
}
