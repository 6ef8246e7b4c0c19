import { canonicalAddress } from '../net/address.ts';
import { isPlainInterfaceName } from '../net/interfaceName.ts';
import { CniError } from './errors.ts';
import { isObject, type Input } from './input.ts';
import type { JsonObject } from './config.ts';

declare global {
  /** ECMAScript 2026 (proposal-json-parse-with-source), not in TypeScript's library yet. */
  interface JSON {
    parse(
      text: string,
      reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
    ): unknown;
    rawJSON(text: string): unknown;
  }
}

/** What the plugins before us in the chain have made, as far as it concerns us. */
export interface PrevResult {
  /** The canonical addresses of the container's interface, each once. */
  readonly addresses: readonly string[];
  /** The interfaces on the node's side, in the order told: a bridge comes before its port. */
  readonly hostInterfaces: readonly string[];
}

/**
 * Returns the text of `prevResult` as it came: unknown fields stay, and numbers keep their digits, which JavaScript's would not (CNI spec,
 * section 5: "a result equivalent to the provided prevResult"). A result without `cniVersion` gets the configuration's.
 */
export function prevResultText({ text, fields }: Input): string {
  requireObject(fields['prevResult']);
  const exact = JSON.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined ? JSON.rawJSON(source) : value,
  );
  return JSON.stringify({ cniVersion: fields['cniVersion'], ...requireObject(isObject(exact) && exact['prevResult']) });
}

/** Returns what `prevResult` tells of the container's interface. Throws a CniError that names the field that cannot be used. */
export function decodePrevResult(prevResult: unknown, ifName: string): PrevResult {
  const result = requireObject(prevResult);
  const interfaces = listOf(result, 'interfaces').map(decodeInterface);
  const ips = listOf(result, 'ips').map((ip, index) => decodeIp(ip, { index, interfaces }));
  // An address without an interface is the container's; one of another interface, or of one on the node, is not.
  const own = ips.filter(({ holder }) => holder === undefined || (holder.name === ifName && holder.sandboxed));
  const hostInterfaces = interfaces.filter(({ sandboxed }) => !sandboxed).map(({ name }) => name);
  return { addresses: [...new Set(own.map(({ address }) => address))], hostInterfaces: [...new Set(hostInterfaces)] };
}

function requireObject(prevResult: unknown): JsonObject {
  if (isObject(prevResult)) return prevResult;
  const found = prevResult === undefined ? 'there is no "prevResult"' : '"prevResult" is not an object';
  throw new CniError('invalidConfig', {
    msg: `Cannot work without the result of a plugin before: ${found}`,
    details:
      'kube-nwplcy must be chained: list it in the conflist after the plugin that makes the interface (flannel, bridge, ptp)',
  });
}

interface Interface {
  readonly name: string;
  readonly sandboxed: boolean;
}

function decodeInterface(value: unknown, index: number): Interface {
  const at = `prevResult.interfaces[${index}]`;
  if (!isObject(value)) throw fieldError(at, 'must be an object');
  const { name, sandbox } = value;
  const sandboxed = sandbox !== undefined && sandbox !== '';
  if (typeof name !== 'string') throw fieldError(`${at}.name`, 'must be a string');
  if (!sandboxed && !isPlainInterfaceName(name)) throw fieldError(`${at}.name`, 'must be the name of an interface');
  return { name, sandboxed };
}

function decodeIp(
  value: unknown,
  { index, interfaces }: { readonly index: number; readonly interfaces: readonly Interface[] },
) {
  const at = `prevResult.ips[${index}]`;
  if (!isObject(value)) throw fieldError(at, 'must be an object');
  const holder = typeof value['interface'] === 'number' ? interfaces[value['interface']] : undefined;
  if (value['interface'] !== undefined && holder === undefined)
    throw fieldError(`${at}.interface`, 'must be an index into prevResult.interfaces');
  return { holder, address: podAddress(value['address'], `${at}.address`) };
}

function podAddress(value: unknown, at: string): string {
  const [, text = '', prefix] = /^([^/]*)\/(\d{1,3})$/.exec(typeof value === 'string' ? value : '') ?? [];
  const address = canonicalOrNone(text);
  const bits = text.includes(':') ? 128 : 32;
  if (address === undefined || Number(prefix) > bits)
    throw fieldError(at, 'must be an IP address with its prefix length');
  if (NOT_A_POD.test(address)) throw fieldError(at, 'must be an address that a pod can have');
  return address;
}

// Unspecified, loopback, multicast and reserved; of IPv6 also what embeds an IPv4 address (::/96).
const NOT_A_POD = /^(?:0|127|22[4-9]|2[3-5]\d)\.|^::|^ff/;

function canonicalOrNone(text: string): string | undefined {
  try {
    return canonicalAddress(text);
  } catch {
    return undefined;
  }
}

function listOf(result: JsonObject, key: string): readonly unknown[] {
  const value = result[key] ?? [];
  if (!Array.isArray(value)) throw fieldError(`prevResult.${key}`, 'must be a list');
  return value;
}

function fieldError(path: string, problem: string): CniError {
  return new CniError('invalidConfig', {
    msg: `Cannot use prevResult: ${path} ${problem}`,
    details: 'prevResult is what the plugin before in the chain returned',
  });
}
