import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toCniError } from '../../src/cni/errors.ts';
import { readInput } from '../../src/cni/input.ts';
import { decodePrevResult, prevResultText } from '../../src/cni/prevResult.ts';

function printed(prevResult: string): string {
  return prevResultText(readInput(() => `{"cniVersion":"1.0.0","prevResult":${prevResult}}`));
}

function problemOf(act: () => unknown): string {
  try {
    return `none: ${JSON.stringify(act())}`;
  } catch (error) {
    const { code, message } = toCniError(error);
    return `${code} ${message}`;
  }
}

describe('the result is printed as it came', () => {
  test('numbers keep every digit', () => {
    const text = '{"cniVersion":"1.0.0","a":12345678901234567890,"b":1.0,"c":-0,"d":1e400,"e":0.10,"f":[1.50]}';
    expect(printed(text)).toBe(text);
  });

  test('unknown fields and hostile keys stay', () => {
    const text = '{"cniVersion":"1.0.0","__proto__":{"x":1},"constructor":null,"":[{}],"\\ud800":"\\u0000\\u2028"}';
    expect(JSON.parse(printed(text))).toEqual(JSON.parse(text));
    expect(printed(text)).toContain('"__proto__":{"x":1}');
  });

  test("a result without a version gets the configuration's, another one keeps its own", () => {
    expect(printed('{"ips":[]}')).toBe('{"cniVersion":"1.0.0","ips":[]}');
    expect(printed('{"ips":[],"cniVersion":"0.4.0"}')).toBe('{"cniVersion":"0.4.0","ips":[]}');
  });

  test('any JSON object comes back with the same meaning', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (result) => {
        const text = JSON.stringify({ cniVersion: '1.0.0', ...result });
        expect(JSON.parse(printed(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  test.for(['null', '5', '"x"', '[]'])('%s is no result', (text) => {
    expect(problemOf(() => printed(text))).toBe(
      '7 Cannot work without the result of a plugin before: "prevResult" is not an object',
    );
  });

  test('without a plugin before there is nothing to work on', () => {
    expect(problemOf(() => prevResultText(readInput(() => '{"cniVersion":"1.0.0"}')))).toBe(
      '7 Cannot work without the result of a plugin before: there is no "prevResult"',
    );
  });
});

const BRIDGE = [{ name: 'cni0' }, { name: 'veth1', sandbox: '' }, { name: 'eth0', sandbox: '/run/netns/a' }];

describe('what it tells of the container', () => {
  test('the addresses of its interface, of both families, each once, and the interfaces on the node', () => {
    const ips = [
      { address: '10.1.0.5/16', interface: 2 },
      { address: 'FD00:0::5/64', interface: 2 },
      { address: '10.1.0.5/24', interface: 2 },
      { address: '10.1.0.6/24' },
    ];
    expect(decodePrevResult({ interfaces: BRIDGE, ips }, 'eth0')).toEqual({
      addresses: ['10.1.0.5', 'fd00::5', '10.1.0.6'],
      hostInterfaces: ['cni0', 'veth1'],
    });
  });

  test('0.3.1 and 0.4.0 tell the family beside each address', () => {
    const ips = [{ version: '4', address: '10.1.0.5/16', interface: 2 }];
    expect(decodePrevResult({ interfaces: BRIDGE, ips }, 'eth0').addresses).toEqual(['10.1.0.5']);
  });

  test('an address of another interface, or of one on the node, is not its own', () => {
    const interfaces = [...BRIDGE, { name: 'net1', sandbox: '/run/netns/a' }, { name: 'eth0' }];
    const ips = [0, 1, 3, 4].map((index) => ({ address: `10.1.0.${index + 1}/16`, interface: index }));
    expect(decodePrevResult({ interfaces, ips }, 'eth0').addresses).toEqual([]);
  });

  test('a Calico-like result names the interface on the node only', () => {
    const result = { interfaces: [{ name: 'cali12345678901' }], ips: [{ address: '10.1.0.5/32' }] };
    expect(decodePrevResult(result, 'eth0')).toEqual({ addresses: ['10.1.0.5'], hostInterfaces: ['cali12345678901'] });
  });

  test('no lists are empty lists', () => {
    expect(decodePrevResult({ ips: null }, 'eth0')).toEqual({ addresses: [], hostInterfaces: [] });
  });
});

test.for<{ readonly result: unknown; readonly problem: string }>([
  { result: { ips: {} }, problem: 'prevResult.ips must be a list' },
  { result: { interfaces: 'x' }, problem: 'prevResult.interfaces must be a list' },
  { result: { interfaces: [null] }, problem: 'prevResult.interfaces[0] must be an object' },
  { result: { interfaces: [{}] }, problem: 'prevResult.interfaces[0].name must be a string' },
  ...['', '-j', 'a b', 'veth+', '!a', 'a"b', 'a\nb', 'a/b', '..', 'sixteen-bytes-lo'].map((name) => ({
    result: { interfaces: [{ name }] },
    problem: 'prevResult.interfaces[0].name must be the name of an interface',
  })),
  { result: { ips: ['x'] }, problem: 'prevResult.ips[0] must be an object' },
  ...[-1, 0, 1.5, '0', null].map((index) => ({
    result: { ips: [{ address: '10.0.0.1/8', interface: index }] },
    problem: 'prevResult.ips[0].interface must be an index into prevResult.interfaces',
  })),
  ...[
    undefined,
    5,
    '',
    '10.0.0.1',
    '10.0.0.1/33',
    '10.0.0.01/8',
    '10.0.0/8',
    '10.0.0.1/8 -j ACCEPT',
    'fd00::1/129',
  ].map((address) => ({
    result: { ips: [{ address }] },
    problem: 'prevResult.ips[0].address must be an IP address with its prefix length',
  })),
  ...[
    '0.0.0.0/0',
    '127.0.0.1/8',
    '224.0.0.1/4',
    '255.255.255.255/32',
    '::/0',
    '::1/128',
    '::10.0.0.1/96',
    'ff02::1/8',
  ].map((address) => ({
    result: { ips: [{ address }] },
    problem: 'prevResult.ips[0].address must be an address that a pod can have',
  })),
])('$result is refused', ({ result, problem }) => {
  expect(problemOf(() => decodePrevResult(result, 'eth0'))).toBe(`7 Cannot use prevResult: ${problem}`);
});
