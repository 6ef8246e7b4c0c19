import { quote } from './quote.ts';

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const IPV6_CHARACTERS = /^[\d.:A-Fa-f]{2,45}$/;
const IPV4_MAPPED = /^::ffff:[\da-f]{1,4}:[\da-f]{1,4}$/;

/**
 * Returns the one text of an address: dotted quad, or IPv6 as RFC 5952 writes it. IPv4 with leading zeros (read as octal by
 * some, as decimal by others), IPv4-mapped IPv6 (the kernel has no such packets) and zones are refused.
 * @throws RangeError
 */
export function canonicalAddress(text: string): string {
  if (IPV4.test(text)) return text;
  const ipv6 = canonicalIpv6(text);
  if (ipv6 === undefined) {
    throw new RangeError(
      `Cannot use ${quote(text)}: expected an IPv4 address without leading zeros, or an IPv6 address`,
    );
  }
  if (IPV4_MAPPED.test(ipv6))
    throw new RangeError(`Cannot use ${quote(text)}: write an IPv4-mapped IPv6 address as IPv4`);
  return ipv6;
}

/** Returns IPv6 as RFC 5952 writes it, one that embeds an IPv4 address too; `text` must be an address. */
export function ipv6Text(text: string): string {
  return canonicalIpv6(text) ?? text;
}

// The host serialiser of the URL standard writes IPv6 as RFC 5952 does, and its parser is as strict as RFC 4291. An address
// library costs the plugin 13 ms to load; this is there already.
function canonicalIpv6(text: string): string | undefined {
  if (!IPV6_CHARACTERS.test(text)) return undefined;
  const url = URL.parse(`http://[${text}]`);
  return url === null ? undefined : url.hostname.slice(1, -1);
}
