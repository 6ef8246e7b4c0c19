/**
 * Tells whether the kernel does not hold what a transaction took for granted: something is missing, is there already with another content, or is
 * still led to. The same transaction fails again; one made from a new look may not.
 */
export function isOutdated({ stderr }: { readonly stderr: string }): boolean {
  return /No such file or directory|File exists|Device or resource busy|does not exist/.test(stderr);
}

/** What is to be told of an nft that crashed. */
const CRASHED =
  'it crashed: before 1.1.2 it cannot read what a newer nft, perhaps that of a container, has written into any table; update "nftables", or use an iptables backend';

/** Returns how nft failed in the words that it had, or if it had none because it crashed, in ours. */
export function nftComplaint({
  stderr,
  signal,
}: {
  readonly stderr: string;
  readonly signal: string | undefined;
}): string {
  return signal === 'SIGSEGV' && stderr.trim() === '' ? CRASHED : stderr;
}

/** Tells whether a table could not be listed because there is none. */
export function isMissingTable({ stderr }: { readonly stderr: string }): boolean {
  return /No such file or directory/.test(stderr);
}
