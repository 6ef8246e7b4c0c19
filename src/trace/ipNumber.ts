import type { IpFamily } from '../net/family.ts';

/** The width of an address. */
export const ADDRESS_BITS: Readonly<Record<IpFamily, number>> = { ipv4: 32, ipv6: 128 };

const known = new Map<string, bigint>();

/**
 * Returns an address as a number. Written apart from src/net: what follows packets is what rules are measured by.
 * Throws an `Error` for anything that is not an address of the family.
 */
export function ipNumber(text: string, family: IpFamily): bigint {
  const number = known.get(text) ?? (text.includes(':') ? ipv6Number(text) : ipv4Number(text));
  if (number === undefined || text.includes(':') !== (family === 'ipv6')) {
    throw new Error(`Cannot trace: "${text}" is not an ${family} address`);
  }
  known.set(text, number);
  return number;
}

/** Returns the bits of an address that name its network. */
export function networkOf(
  number: bigint,
  { family, prefix }: { readonly family: IpFamily; readonly prefix: number },
): bigint {
  const hostBits = BigInt(ADDRESS_BITS[family] - prefix);
  return (number >> hostBits) << hostBits;
}

function ipv4Number(text: string): bigint | undefined {
  const bytes = text.split('.');
  if (bytes.length !== 4 || !bytes.every((byte) => /^(0|[1-9]\d{0,2})$/.test(byte) && Number(byte) < 256))
    return undefined;
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function ipv6Number(text: string): bigint | undefined {
  const halves = text.split('::');
  const [head = [], tail = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - head.length - tail.length;
  if (halves.length > 2 || (halves.length === 2 ? missing < 1 : missing !== 0)) return undefined;
  const all = [...head, ...Array<string>(missing).fill('0'), ...tail];
  if (!all.every((group) => /^[0-9a-f]{1,4}$/.test(group))) return undefined;
  return all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}
