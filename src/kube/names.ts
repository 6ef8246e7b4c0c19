const DNS_LABEL = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const QUALIFIED_NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

/** Tells whether `name` is a DNS-1123 label, what a namespace is named by. */
export function isDnsLabel(name: string): boolean {
  return name.length <= 63 && DNS_LABEL.test(name);
}

/** Tells whether `name` is a DNS-1123 subdomain, what a pod, a node and a policy are named by. Its parts may be longer than a label. */
export function isDnsSubdomain(name: string): boolean {
  return name.length <= 253 && DNS_SUBDOMAIN.test(name);
}

/** Tells whether `key` may be a label's key: a name of at most 63 characters, after an optional DNS subdomain and `/`. */
export function isLabelKey(key: string): boolean {
  const slash = key.indexOf('/');
  const name = key.slice(slash + 1);
  return name.length <= 63 && QUALIFIED_NAME.test(name) && (slash < 0 || isDnsSubdomain(key.slice(0, slash)));
}

/** Tells whether `value` may be a label's value: empty, or shaped as the name of a key. */
export function isLabelValue(value: string): boolean {
  return value === '' || (value.length <= 63 && QUALIFIED_NAME.test(value));
}
