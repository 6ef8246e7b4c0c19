/**
 * Tells whether an interface's name can stand in a rule and in a path as it is. The kernel allows more, but a name that begins with "-" or ends with
 * "+" or "*" means something else to programs, and one with a quote ends what it stands in.
 */
export function isPlainInterfaceName(name: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/.test(name);
}
