import { networkInterfaces } from 'node:os';

/** Returns the addresses that the network namespace of this process has itself: a node's, bridges' among them. */
export function ownAddresses(): ReadonlySet<string> {
  return new Set(Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address)));
}
