import { expect, test } from 'vitest';
import { isPlainInterfaceName } from '../../src/net/interfaceName.ts';

test.for(['veth0a1b2c3d', 'cali12ab.34', '_x', 'eth0.100', 'a23456789012345'])('"%s" can stand in a rule', (name) => {
  expect(isPlainInterfaceName(name)).toBe(true);
});

test.for(['', '-i', 'veth+', 'veth*', 'a b', 'a"b', 'a/b', '.', 'é', 'a\nb', 'a234567890123456'])(
  '%j cannot',
  (name) => {
    expect(isPlainInterfaceName(name)).toBe(false);
  },
);
