import { expect, test, describe } from 'vitest';
import { AgentMetrics } from '../../src/agent/metrics/agentMetrics.ts';
import type { AgentStatus } from '../../src/rendezvous/agentSocket.ts';
import { wholeStatus } from '../helpers/agentStatus.ts';

const BUILD = { version: '0.1.0 (commit 1a2b3c4d5e6f, node v26.10.0)', backend: 'nftables' };

function metricsOf(status: Partial<AgentStatus> = {}): AgentMetrics {
  return new AgentMetrics(BUILD, () => ({ ...wholeStatus, ...status }));
}

/** Returns our own lines that begin so, without comments. */
async function lines(metrics: AgentMetrics, start: string): Promise<readonly string[]> {
  return (await metrics.text()).split('\n').filter((line) => line.startsWith(`kube_nwplcy_${start}`));
}

describe('what is counted', () => {
  test('is there from the start, as zero', async () => {
    const metrics = metricsOf();
    expect(await lines(metrics, 'repairs_total')).toEqual(['kube_nwplcy_repairs_total 0']);
    expect(await lines(metrics, 'sync_errors_total')).toEqual([
      'kube_nwplcy_sync_errors_total{cause="kernel"} 0',
      'kube_nwplcy_sync_errors_total{cause="other"} 0',
    ]);
    expect(await lines(metrics, 'source_lag_seconds_count')).toEqual(['kube_nwplcy_source_lag_seconds_count 0']);
  });

  test('grows by what happens', async () => {
    const metrics = metricsOf();
    metrics.kernel.synced(0.03);
    metrics.kernel.refused('kernel');
    metrics.kernel.repaired();
    metrics.source.written(0.2);
    metrics.source.changed({ pods: new Set(['a/b', 'a/c']), namespaces: new Set(), policies: new Set(['a/p']) });
    metrics.pods.attached({ added: 2, removed: 1 });
    expect([
      ...(await lines(metrics, 'sync_duration_seconds_bucket{le="0.05"}')),
      ...(await lines(metrics, 'sync_duration_seconds_bucket{le="0.025"}')),
      ...(await lines(metrics, 'sync_errors_total')),
      ...(await lines(metrics, 'repairs_total')),
      ...(await lines(metrics, 'source_lag_seconds_sum')),
      ...(await lines(metrics, 'source_changes_total')),
      ...(await lines(metrics, 'attachments_total')),
    ]).toEqual([
      'kube_nwplcy_sync_duration_seconds_bucket{le="0.05"} 1',
      'kube_nwplcy_sync_duration_seconds_bucket{le="0.025"} 0',
      'kube_nwplcy_sync_errors_total{cause="kernel"} 1',
      'kube_nwplcy_sync_errors_total{cause="other"} 0',
      'kube_nwplcy_repairs_total 1',
      'kube_nwplcy_source_lag_seconds_sum 0.2',
      'kube_nwplcy_source_changes_total{kind="Namespace"} 0',
      'kube_nwplcy_source_changes_total{kind="Pod"} 2',
      'kube_nwplcy_source_changes_total{kind="NetworkPolicy"} 1',
      'kube_nwplcy_attachments_total{event="add"} 2',
      'kube_nwplcy_attachments_total{event="del"} 1',
    ]);
  });
});

describe('what is there', () => {
  test('is read off the status, once a reading', async () => {
    let asked = 0;
    const metrics = new AgentMetrics(BUILD, () => ((asked += 1), wholeStatus));
    await metrics.text();
    expect(asked).toBe(1);
    expect(await lines(metrics, 'pods_')).toEqual([
      'kube_nwplcy_pods_attached 3',
      'kube_nwplcy_pods_adopted 0',
      'kube_nwplcy_pods_isolated 2',
      'kube_nwplcy_pods_quarantined 0',
    ]);
  });

  test('tells what runs by labels', async () => {
    expect(await lines(metricsOf(), 'build_info')).toEqual([
      `kube_nwplcy_build_info{version="0.1.0",commit="1a2b3c4d5e6f",node_version="${process.version}",backend="nftables"} 1`,
    ]);
  });

  test('says for how long the oldest quarantine has lasted', async () => {
    const since = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();
    const quarantinedSince = { 'a/old': since(100), 'a/new': since(3) };
    const pods = { ...wholeStatus.pods, quarantined: Object.keys(quarantinedSince), quarantinedSince };
    const [line = ''] = await lines(metricsOf({ pods }), 'oldest_quarantine_seconds');
    expect(Number(line.split(' ')[1])).toBeCloseTo(100, 0);
    expect(await lines(metricsOf(), 'oldest_quarantine_seconds')).toEqual(['kube_nwplcy_oldest_quarantine_seconds 0']);
  });

  test('a source that is away is a time, and one that is not is none', async () => {
    const away = { since: '2026-11-21T02:59:00.000Z', reason: 'x' };
    const name = 'source_away_since_timestamp_seconds';
    expect(await lines(metricsOf({ source: { ...wholeStatus.source, away } }), name)).toEqual([
      `kube_nwplcy_${name} ${Date.parse(away.since) / 1000}`,
    ]);
    expect(await lines(metricsOf(), name)).toEqual([`kube_nwplcy_${name} 0`]);
  });
});

describe('what comes from outside', () => {
  const problems = Array.from({ length: 500 }, (_, line) => ({
    where: `${'x'.repeat(5000)}${line}`,
    line,
    message: '',
  }));

  test('makes no more than twenty time series, none of them long, and all are counted', async () => {
    const metrics = metricsOf({ source: { ...wholeStatus.source, problems } });
    const told = await lines(metrics, 'source_problem{');
    expect([told.length, Math.max(...told.map((line) => line.length)) < 300]).toEqual([20, true]);
    expect(await lines(metrics, 'source_problems')).toEqual(['kube_nwplcy_source_problems 500']);
  });

  test('ends no line and no label', async () => {
    const where = '"} 1\nkube_nwplcy_ready 1\n\u001b[2J\\';
    const metrics = metricsOf({
      failure: 'x',
      source: { ...wholeStatus.source, problems: [{ where, line: 1, message: '' }] },
    });
    expect(await lines(metrics, 'ready')).toEqual(['kube_nwplcy_ready 0']);
    expect(await metrics.text()).not.toContain('\u001b');
  });

  test('is gone when it is mended', async () => {
    let current = problems.slice(0, 1);
    const metrics = new AgentMetrics(BUILD, () => ({
      ...wholeStatus,
      source: { ...wholeStatus.source, problems: current },
    }));
    await metrics.text();
    current = [];
    expect(await lines(metrics, 'source_problem{')).toEqual([]);
  });
});

test('no gauge is called as a counter, and no counter otherwise', async () => {
  const metrics = metricsOf();
  metrics.serve(async () => []);
  const types = (await metrics.text()).matchAll(/^# TYPE (\S+) (\S+)$/gm);
  const wrong = [...types].filter(([, name = '', type]) => name.endsWith('_total') !== (type === 'counter'));
  expect(wrong.map(([line]) => line)).toEqual([]);
});

// Far above what it takes, and far below what a pass does: a microsecond an event.
test('to count costs next to nothing', () => {
  const metrics = metricsOf();
  const changes = { pods: new Set(['a/b']), namespaces: new Set<string>(), policies: new Set<string>() };
  const started = performance.now();
  for (let event = 0; event < 100_000; event += 1) metrics.source.changed(changes);
  expect(performance.now() - started).toBeLessThan(2000);
});
