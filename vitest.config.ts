import { existsSync } from 'node:fs';
import { getuid } from 'node:process';
import { defineConfig } from 'vitest/config';

// Tests of the kernel and of the packed executable make namespaces and rules: where that cannot be done, they count as skipped (a pattern that no
// title matches), and one line says why.
const impossible = whyNoRealTests();
if (impossible !== undefined) process.stderr.write(`Tests in test/kernel and test/plugin are skipped: ${impossible}\n`);

// After everything else, and two files at a time: much of their time they wait for packets.
const real = {
  maxWorkers: 2,
  // Packets are lost and answers late where a machine is overloaded; what is wrong is wrong twice.
  retry: 1,
  testTimeout: 120_000,
  hookTimeout: 120_000,
  ...(impossible === undefined ? { globalSetup: ['test/buildFirst.ts'] } : { testNamePattern: /^(?!)/ }),
};

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'pure', include: ['test/**/*.test.ts'], exclude: ['test/kernel/**', 'test/plugin/**'] } },
      { test: { ...real, name: 'kernel', include: ['test/kernel/**/*.test.ts'], sequence: { groupOrder: 1 } } },
      { test: { ...real, name: 'plugin', include: ['test/plugin/**/*.test.ts'], sequence: { groupOrder: 2 } } },
    ],
  },
});

function whyNoRealTests(): string | undefined {
  if (getuid?.() !== 0) return 'they need root';
  const absent = ['iptables', 'ip6tables', 'ipset', 'conntrack', 'ip', 'unshare', 'nsenter'].filter(
    (name) => !isOnPath(name),
  );
  return absent.length === 0 ? undefined : `not installed: ${absent.join(', ')}`;
}

function isOnPath(name: string): boolean {
  return ['/usr/sbin', '/usr/bin', '/sbin', '/bin'].some((folder) => existsSync(`${folder}/${name}`));
}
