import { isIP } from 'node:net';
import { canonicalAddress } from '../net/address.ts';

/** Tells whether a host to listen at, a name or an address, is reached from this machine alone. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost') return true;
  if (isIP(host) === 0) return false;
  try {
    const address = canonicalAddress(host);
    return address === '::1' || address.startsWith('127.');
  } catch (error) {
    if (error instanceof RangeError) return false; // an IPv4-mapped address or a zone
    throw error;
  }
}

/**
 * Tells whether a request's `Host` header may be answered by a server that listens at `host`. A page of somebody's own site whose name he lets
 * resolve to this machine comes with that name: what is named must be this machine's loopback, or what the server was told to listen at. Where
 * others may ask, they do by an address of this machine, which no site can make a name of.
 */
export function isOwnName(header: string | undefined, { host }: { readonly host: string }): boolean {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(header ?? '') ?? [];
  const name = bracketed ?? plain ?? '';
  if (name === '') return false;
  if (isLoopback(name) || name.toLowerCase() === host.toLowerCase()) return true;
  return !isLoopback(host) && isIP(name) !== 0;
}
