/** One rule as `iptables -S` prints it, without the leading `-A CHAIN`. Rules are compared as text, so this form is the only one used. */
export type Rule = string;

export interface Chain {
  readonly name: string;
  readonly rules: readonly Rule[];
}

/** Returns the chain that a rule leads to: every rule of ours that leads anywhere ends with it. */
export function targetOf(rule: Rule): string {
  return rule.slice(rule.lastIndexOf(' ') + 1);
}
