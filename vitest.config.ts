import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { env, getuid } from 'node:process';
import { defineConfig } from 'vitest/config';
import { promtool } from './test/helpers/promtool.ts';

// Tests of the kernel and of the packed executable make namespaces and rules: where that cannot be done, they count as skipped (a pattern that no
// title matches), and one line says why.
const impossible = whyNoRealTests();
if (impossible !== undefined)
  process.stderr.write(`Tests in test/kernel, test/plugin, test/cluster and test/runtime are skipped: ${impossible}\n`);
if (promtool === undefined)
  process.stderr.write(
    'Tests by promtool are skipped: it is not installed; "scripts/unpack.sh prometheus" fetches it\n',
  );
const noGo = impossible ?? whyNoGo();
// kube-apiserver and etcd can be given; nothing else is.
const noCluster = (env['KUBEBUILDER_ASSETS'] ?? '') === '' ? noGo : impossible;
if (impossible === undefined && noGo !== undefined)
  process.stderr.write(
    `Tests in ${noCluster === undefined ? '' : 'test/cluster and '}test/runtime are skipped: ${noGo}\n`,
  );

const noBrowser = existsSync('/usr/bin/chromium') ? undefined : '/usr/bin/chromium is not there';
if (noBrowser !== undefined) process.stderr.write(`Tests in test/browser are skipped: ${noBrowser}\n`);

// After everything else, and two files at a time: much of their time they wait for packets.
const real = {
  maxWorkers: 2,
  // Packets are lost and answers late where a machine is overloaded; what is wrong is wrong twice.
  retry: 1,
  testTimeout: 120_000,
  hookTimeout: 120_000,
};
const nothing = { testNamePattern: /^(?!)/ };
const executable = impossible === undefined ? { globalSetup: ['test/buildFirst.ts'] } : nothing;
const programs = { globalSetup: ['test/buildFirst.ts', 'test/cluster/buildPrograms.ts'] };
const modernPrograms = { globalSetup: [...programs.globalSetup, 'test/slow/modernPrograms.ts'] };

// Once is enough: they name their backends themselves.
const ABOUT_ALL_BACKENDS = 'test/kernel/{cleanup,doctor,upgrade,choice,nftHelpers}.test.ts';

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'pure',
          // No test asserts how long something takes, and the machine may be busy.
          testTimeout: 60_000,
          include: ['test/**/*.test.ts'],
          exclude: ['test/{kernel,plugin,cluster,runtime,browser,slow}/**'],
        },
      },
      ...byBackend('kernel', { order: 1, options: { ...real, ...executable } }),
      ...byBackend('plugin', { order: 3, options: { ...real, ...executable } }),
      ...byBackend('cluster', { order: 5, options: { ...real, ...(noCluster === undefined ? programs : nothing) } }),
      // One file at a time: what overlaps in these is told by the clock.
      ...byBackend('runtime', {
        order: 7,
        options: { ...real, maxWorkers: 1, ...(noGo === undefined ? programs : nothing) },
      }),
      { test: { ...real, ...(noBrowser === undefined ? {} : nothing), ...tier('browser', 9) } },
      { test: { ...real, ...(noGo === undefined ? modernPrograms : nothing), ...tier('slow', 10) } },
    ],
  },
});

/** A tier, and the same files once more with the other backend: what only one of them can do skips itself, and says so. */
function byBackend<Options extends object>(
  name: string,
  { order, options }: { readonly order: number; readonly options: Options },
) {
  const other = { name: `${name}-nftables`, env: { KUBE_NWPLCY_BACKEND: 'nftables' }, exclude: [ABOUT_ALL_BACKENDS] };
  return [{ test: { ...options, ...tier(name, order) } }, { test: { ...options, ...tier(name, order + 1), ...other } }];
}

function tier(name: string, groupOrder: number) {
  return { name, include: [`test/${name}/**/*.test.ts`], sequence: { groupOrder } };
}

function whyNoRealTests(): string | undefined {
  if (getuid?.() !== 0) return 'they need root';
  const absent = ['iptables', 'ip6tables', 'ipset', 'nft', 'conntrack', 'ip', 'unshare', 'nsenter'].filter(
    (name) => !isOnPath(name),
  );
  return absent.length === 0 ? undefined : `not installed: ${absent.join(', ')}`;
}

/** kube-apiserver and others are built from their Go module, by the Go that this asks for: since 1.21 any Go fetches it. */
function whyNoGo(): string | undefined {
  const [, minor = '0'] = /^go1\.(\d+)/.exec(spawnSync('go', ['env', 'GOVERSION']).stdout?.toString() ?? '') ?? [];
  return Number(minor) >= 21 ? undefined : 'they need Go 1.21 or newer (test/cluster alone KUBEBUILDER_ASSETS)';
}

function isOnPath(name: string): boolean {
  return ['/usr/sbin', '/usr/bin', '/sbin', '/bin'].some((folder) => existsSync(`${folder}/${name}`));
}
