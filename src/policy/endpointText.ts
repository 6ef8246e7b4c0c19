import { canonicalAddress } from '../net/address.ts';
import { printable, quote } from '../net/quote.ts';
import type { Cluster } from '../kube/cluster.ts';
import type { Endpoint } from './flow.ts';

/** The end of a flow that somebody asked for is none: the message says why, and what was perhaps meant. */
export class UnknownEndError extends Error {
  override readonly name = 'UnknownEndError';
}

/** Returns the endpoint that a text names: a pod of the cluster as `namespace/name`, or an address. Throws an UnknownEndError. */
export function endpointOf(text: string, cluster: Cluster): Endpoint {
  const address = addressOf(text);
  if (address !== undefined) return { kind: 'address', address };
  const slash = text.indexOf('/');
  if (slash > 0 && addressOf(text.slice(0, slash)) !== undefined)
    throw new UnknownEndError(`Cannot use ${quote(text)}: a network has many addresses; give one of them`);
  const pod = cluster.pods.get(text);
  if (pod !== undefined) return { kind: 'pod', namespace: pod.namespace, name: pod.name };
  const expected = slash < 0 ? 'expected NAMESPACE/POD or an address' : 'there is no such pod';
  throw new UnknownEndError(`Cannot use ${quote(text)}: ${expected}${suggestion(text, cluster)}`);
}

function addressOf(text: string): string | undefined {
  try {
    return canonicalAddress(text);
  } catch {
    return undefined;
  }
}

const MOST_SUGGESTED = 5;
/** A name may be one letter off, and one more for every so many. */
const LETTERS_A_SLIP = 4;
const MOST_SLIPS = 5;

function suggestion(text: string, { pods }: Cluster): string {
  if (pods.size === 0) return '; there are no pods at all';
  const near = [...pods.keys()]
    .map((key) => ({ key, distance: distanceOf(text, key) }))
    .filter(({ distance }) => distance <= 1 + nameOf(text).length / LETTERS_A_SLIP)
    .toSorted((a, b) => a.distance - b.distance || (a.key < b.key ? -1 : 1))
    .slice(0, MOST_SUGGESTED);
  return near.length === 0 ? '' : `; did you mean ${near.map(({ key }) => printable(key)).join(', ')}?`;
}

// A pod of the same name elsewhere, a workload's name for one of its pods, or a slip of the keys.
function distanceOf(text: string, key: string): number {
  const [wanted, found] = [nameOf(text), nameOf(key)];
  if (wanted === found) return 0;
  if (wanted !== '' && found.startsWith(wanted)) return 1;
  return Math.min(editDistance(text, key), editDistance(wanted, found) + 1);
}

function nameOf(key: string): string {
  return key.slice(key.indexOf('/') + 1);
}

/** Returns how many characters must be put in, taken out or changed. */
function editDistance(a: string, b: string): number {
  // Nobody is off by so much, and what was asked for may be of any length.
  if (Math.abs(a.length - b.length) > MOST_SLIPS) return Number.POSITIVE_INFINITY;
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
