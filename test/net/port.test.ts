import { test } from 'vitest';
import { isPortName, isPortNumber } from '../../src/net/port.ts';

test.for([1, 80, 65_535])('%d is a port number', (port, { expect }) => {
  expect(isPortNumber(port)).toBe(true);
});

test.for([0, -1, 65_536, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('%d is no port number', (port, { expect }) => {
  expect(isPortNumber(port)).toBe(false);
});

test.for(['http', 'a', '1a', '8-b', 'dns-tcp', 'fifteen-letters'])('%j is a port name', (name, { expect }) => {
  expect(isPortName(name)).toBe(true);
});

test.for(['', '80', '8-0', 'HTTP', 'a--b', '-a', 'a-', 'a_b', 'a.b', 'sixteen-letters-', 'sixteen-lettersx', 'a\n'])(
  '%j is no port name',
  (name, { expect }) => {
    expect(isPortName(name)).toBe(false);
  },
);
