import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Agent } from '../../src/agent/agent.ts';
import { pageAsset } from '../../src/cli/pageAsset.ts';
import { Iptables } from '../../src/dataplane/iptables/iptables.ts';
import { IptablesKernel } from '../../src/dataplane/iptables/iptablesKernel.ts';
import { directorySource } from '../../src/source/directory.ts';
import { FakeNetfilter } from '../helpers/fakeNetfilter.ts';
import { namespace, pod, policy } from '../helpers/manifests.ts';
import { cellAt, openAddress, words } from './openPage.ts';

const root = mkdtempSync(join(tmpdir(), 'nwplcy-live-'));
const manifests = join(root, 'manifests');
let fake: FakeNetfilter;
let agent: Agent;
let address: string;

beforeAll(async () => {
  mkdirSync(manifests);
  write('cluster.json', [
    namespace('shop'),
    pod('shop/db', { labels: { app: 'db' }, addresses: ['10.244.0.2'], ports: [{ name: 'pg', containerPort: 5432 }] }),
    pod('shop/web', { labels: { app: 'web' }, addresses: ['10.244.0.3'] }),
  ]);
  fake = await FakeNetfilter.start();
  const port = await freePort();
  address = `http://127.0.0.1:${port}/`;
  agent = new Agent({
    version: '0',
    nodeName: 'node-1',
    runtimeDir: join(root, 'run'),
    source: directorySource({ path: manifests, stateDir: join(root, 'state') }),
    sourceName: `dir:${manifests}`,
    backend: 'iptables-nft',
    backendReason: 'a test',
    kernel: new IptablesKernel([new Iptables('ipv4', 'iptables-nft')]),
    removeOthers: () => [],
    log: pino({ level: 'silent' }),
    metricsAddress: undefined,
    page: { address: { host: '127.0.0.1', port }, asset: await pageAsset(), isPartial: false },
  });
  await agent.start();
});
afterAll(async () => {
  await agent.stop();
  fake.stop();
  rmSync(root, { recursive: true });
});

function write(file: string, items: readonly object[]): void {
  writeFileSync(join(manifests, file), JSON.stringify({ kind: 'List', apiVersion: 'v1', items }));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const found = server.address();
  server.close();
  await once(server, 'close');
  return typeof found === 'object' && found !== null ? found.port : 0;
}

test('the page shows what the agent knows, and what changes while one looks', async () => {
  await using opened = await openAddress(address);
  const { page, complaints, requests } = opened;
  const cell = cellAt(page, '1,0');
  await cell.click();
  expect(await cell.getAttribute('aria-label')).toBe('shop/web to shop/db 5432/TCP: allowed');
  expect(await words(page.locator('.notice'))).toBe('Live, as the agent of node node-1 knows it');
  const answer = page.getByRole('complementary', { name: 'Explanation' }).locator('.answers');
  expect(await words(answer)).toMatch(/^ALLOWED shop\/web \(10\.244\.0\.3\) → shop\/db/);
  write('policy.json', [policy('shop/db', { podSelector: { matchLabels: { app: 'db' } } })]);
  // What one has opened stays open, and is told anew.
  await answer.getByText('DENIED').waitFor();
  expect(await words(answer)).toContain('✗ shop/db has no ingress rules: it allows nothing');
  expect(await cell.getAttribute('aria-label')).toBe('shop/web to shop/db 5432/TCP: blocked');
  write('policy.json', []);
  await answer.getByText('ALLOWED').waitFor();
  expect(complaints).toEqual([]);
  expect([...new Set(requests)]).toEqual([`${address}cluster`]);
});

test('an agent that went away is said to be, with what it knew last', async () => {
  await using opened = await openAddress(address);
  const { page } = opened;
  await cellAt(page, '1,0').waitFor();
  await page.route('**/cluster', (route) => route.abort());
  await page.getByText('The agent does not answer; this is what it knew last').waitFor();
  expect(await cellAt(page, '1,0').count()).toBe(1);
  await page.unroute('**/cluster');
  await page.getByText('The agent does not answer').waitFor({ state: 'detached' });
});
