import { familyOf } from '../net/family.ts';

// iptables refuses a comment of 256 bytes or more; the kernel's own tools show less than that anyway.
const COMMENT_BYTES = 200;

/** Returns one address as a match prints it: with the prefix of a single host. */
export function hostAddress(address: string): string {
  return familyOf(address) === 'ipv4' ? `${address}/32` : `${address}/128`;
}

/**
 * Returns a comment match. What came from a name is kept to the characters that Kubernetes names are made of, so that neither a quote
 * nor a line end nor an overlong name can become part of a rule.
 */
export function comment(text: string): string {
  return `-m comment --comment "${text.replaceAll(/[^A-Za-z0-9 ./_-]/g, '?').slice(0, COMMENT_BYTES)}"`;
}

/** How many policies a rule names. */
const MOST_POLICIES = 3;

/** Returns where a rule comes from, for the people who read it. */
export function policiesText(policies: readonly string[]): string {
  const more = policies.length - MOST_POLICIES;
  const named = policies.slice(0, MOST_POLICIES).join(' ');
  return more > 0 ? `${named} and ${more} more` : named;
}
