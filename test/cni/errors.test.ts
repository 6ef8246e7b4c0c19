import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CNI_ERROR_CODES, CniError, toCniError } from '../../src/cni/errors.ts';
import { CommandError } from '../../src/dataplane/commandError.ts';
import { ToolMissingError } from '../../src/dataplane/toolMissing.ts';

test('codes never change: runtimes and people know them', () => {
  expect(CNI_ERROR_CODES).toEqual({
    incompatibleVersion: 1,
    invalidEnvironment: 4,
    ioFailure: 5,
    decodingFailure: 6,
    invalidConfig: 7,
    tryAgainLater: 11,
    notAvailable: 50,
    limitedConnectivity: 51,
    bridgeUnfiltered: 100,
    toolMissing: 101,
    kernelRefused: 102,
    notInPlace: 103,
    internal: 999,
  });
});

test('an error in CNI terms is not wrapped again', () => {
  const error = new CniError('notInPlace', { msg: 'Cannot', details: 'because' });
  expect(toCniError(error)).toBe(error);
});

test('a failure of the file system is an I/O failure that names the path', () => {
  const error = caught(() => readFileSync('/no/such/file'));
  expect(shown(error)).toEqual({
    code: 5,
    message: 'Cannot open "/no/such/file": ENOENT',
    details: "ENOENT: no such file or directory, open '/no/such/file'",
  });
});

test('a failed program is told with its arguments, its exit code and what it said', () => {
  const file = '/usr/sbin/iptables-nft-restore';
  const result = { exitCode: 2, stderr: "Chain 'X' does not exist\nmore\n" };
  expect(shown(new CommandError({ file, args: ['--noflush'], result }))).toEqual({
    code: 102,
    message: 'Cannot write or read the rules: the kernel or its program refused',
    details: 'Cannot run "/usr/sbin/iptables-nft-restore --noflush": exit code 2, Chain \'X\' does not exist; more',
  });
});

test('a lock that others never let go is to be tried again later', () => {
  const result = { exitCode: 4, stderr: 'Another app is currently holding the xtables lock.' };
  expect(toCniError(new CommandError({ file: 'x', args: [], result })).code).toBe(11);
});

test('a program that is not installed is told with what to install, and where it was looked for', () => {
  const env = { PATH: '/usr/bin:/nowhere' };
  const options = { program: 'iptables-nft-restore', install: 'iptables', env };
  expect(shown(new ToolMissingError('write rules', options))).toEqual({
    code: 101,
    message: 'Cannot write rules: iptables-nft-restore is not installed',
    details:
      'Install iptables, or have the container runtime start plugins with a PATH that leads to it; it is "/usr/bin:/nowhere"',
  });
});

test('anything else is a bug, told with its place', () => {
  const { code, details } = toCniError(new RangeError('Out of it'));
  expect({ code, details: details.split('\n')[0] }).toEqual({ code: 999, details: 'RangeError: Out of it' });
});

function caught(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}

function shown(error: unknown) {
  const { code, message, details } = toCniError(error);
  return { code, message, details };
}
