import { describe, expect, test } from 'vitest';
import { readCall } from '../../src/cni/env.ts';
import { toCniError } from '../../src/cni/errors.ts';

const WHOLE = { CNI_CONTAINERID: 'c1', CNI_NETNS: '/run/netns/a', CNI_IFNAME: 'eth0', CNI_ARGS: 'A=B' };

function problemOf(env: Readonly<Record<string, string>>): string {
  try {
    return `none: ${JSON.stringify(readCall(env))}`;
  } catch (error) {
    const { code, message } = toCniError(error);
    return `${code} ${message}`;
  }
}

test('every command gets the parameters that it needs, and no others', () => {
  const calls = ['ADD', 'CHECK', 'DEL', 'GC', 'STATUS', 'VERSION'].map((command) =>
    readCall({ CNI_COMMAND: command, ...WHOLE }),
  );
  const id = { containerId: 'c1', ifName: 'eth0' };
  expect(calls).toEqual([
    { command: 'ADD', id, netns: '/run/netns/a', args: 'A=B' },
    { command: 'CHECK', id, netns: '/run/netns/a', args: 'A=B' },
    { command: 'DEL', id },
    { command: 'GC' },
    { command: 'STATUS' },
    { command: 'VERSION' },
  ]);
});

test.for([
  ['ADD', '4 Cannot run "ADD": CNI_CONTAINERID is missing; CNI_NETNS is missing; CNI_IFNAME is missing'],
  ['CHECK', '4 Cannot run "CHECK": CNI_CONTAINERID is missing; CNI_NETNS is missing; CNI_IFNAME is missing'],
  ['DEL', '4 Cannot run "DEL": CNI_CONTAINERID is missing; CNI_IFNAME is missing'],
  ['GC', 'none: {"command":"GC"}'],
  ['STATUS', 'none: {"command":"STATUS"}'],
  ['VERSION', 'none: {"command":"VERSION"}'],
  ['add', '4 Cannot run "add": CNI_COMMAND must be one of ADD, CHECK, DEL, GC, STATUS, VERSION'],
  ['', '4 Cannot run "": CNI_COMMAND must be one of ADD, CHECK, DEL, GC, STATUS, VERSION'],
  ['toString', '4 Cannot run "toString": CNI_COMMAND must be one of ADD, CHECK, DEL, GC, STATUS, VERSION'],
] as const)('%s without other variables', ([command, expected]) => {
  expect(problemOf({ CNI_COMMAND: command })).toBe(expected);
  expect(problemOf({ CNI_COMMAND: command, CNI_CONTAINERID: '', CNI_NETNS: '', CNI_IFNAME: '' })).toBe(expected);
});

test('DEL needs no namespace: later ones come with an empty CNI_NETNS', () => {
  expect(readCall({ ...WHOLE, CNI_COMMAND: 'DEL', CNI_NETNS: '' }).command).toBe('DEL');
});

describe('hostile values', () => {
  test.for(['../x', 'a/b', '.a', '-a', 'a b', 'a:b', 'a\nb', 'é', 'x'.repeat(240)])('CNI_CONTAINERID %j', (value) => {
    expect(problemOf({ ...WHOLE, CNI_COMMAND: 'DEL', CNI_CONTAINERID: value })).toMatch(
      /^4 Cannot run "DEL": CNI_CONTAINERID must /,
    );
  });

  test.for(['.', '..', 'a/b', 'a:b', 'a b', 'a\tb', 'sixteen-bytes-lo', 'éééééééé'])('CNI_IFNAME %j', (value) => {
    expect(problemOf({ ...WHOLE, CNI_COMMAND: 'DEL', CNI_IFNAME: value })).toMatch(
      /^4 Cannot run "DEL": CNI_IFNAME must /,
    );
  });

  test('every name that the rules allow fits a file name', () => {
    const call = readCall({
      ...WHOLE,
      CNI_COMMAND: 'DEL',
      CNI_CONTAINERID: 'x'.repeat(239),
      CNI_IFNAME: 'fifteen-bytes-l',
    });
    const { containerId, ifName } = call.command === 'DEL' ? call.id : { containerId: '', ifName: '' };
    expect(Buffer.byteLength(`${containerId}:${ifName}`)).toBe(255);
  });
});
