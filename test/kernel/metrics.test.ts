import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { metricsPage, type PageMetric } from '../helpers/metricsPage.ts';
import { check, promtool } from '../helpers/promtool.ts';
import { output } from '../lab/run.ts';
import { policy, ProductCluster } from './cluster.ts';

// What the packed agent really serves, as Prometheus reads it, and as its page in docs describes it.

const ADDRESS = '127.0.0.1:9473';

describe('/metrics of a running agent', () => {
  let cluster: ProductCluster;
  let text: string;
  beforeAll(async () => {
    cluster = await ProductCluster.start();
    const node = cluster.lab.node(1);
    await cluster.agent(1).stop();
    await cluster.startAgent(1, { args: ['--metrics-addr', ADDRESS] });
    const server = await node.addPod({ namespace: 'shop', name: 'server' });
    const client = await node.addPod({ namespace: 'clients', name: 'client', listens: false });
    cluster.lab.manifests.apply(policy('shop/deny', { podSelector: {} }));
    // A label of a problem comes from outside.
    cluster.lab.manifests.write('bad"\u001b.yaml', 'kind: Pod\n');
    await node.product(['sync']);
    await client.probe.dial([{ address: server.addresses[0] ?? '', port: 80, protocol: 'TCP' }]);
    const program = `fetch('http://${ADDRESS}/metrics').then(async (page) => process.stdout.write(await page.text()))`;
    text = await output(node.run, [process.execPath, '-e', program]);
  });
  afterAll(() => cluster[Symbol.dispose]());

  test.skipIf(promtool === undefined)('is as Prometheus wants it', async () => {
    expect(await check(['check', 'metrics'], text)).toEqual({ exitCode: 0, said: '' });
  });

  test('tells what happened', () => {
    expect(text).toMatch(/^kube_nwplcy_pods_attached 2$/m);
    expect(text).toMatch(/^kube_nwplcy_pods_isolated 1$/m);
    expect(text).toMatch(/^kube_nwplcy_attachments_total\{event="add"\} 2$/m);
    expect(text).toMatch(
      /^kube_nwplcy_denied_packets_total\{pod="shop\/server",direction="ingress",audit="false"\} 1$/m,
    );
    expect(text).toMatch(/^kube_nwplcy_source_changes_total\{kind="NetworkPolicy"\} 1$/m);
    expect(text).toMatch(/^kube_nwplcy_source_lag_seconds_count [1-9]/m);
    expect(text).toMatch(/^kube_nwplcy_source_problem\{where=".*bad\\"\\\\u\{1b\}\.yaml",line="\d*"\} 1$/m);
    expect(text).not.toContain('\u001b');
  });

  test('is what docs/metrics.md says, name by name, type by type, label by label', () => {
    const [real, page] = [served(text), metricsPage()];
    const isOurs = ({ name }: PageMetric) => name.startsWith('kube_nwplcy_');
    expect(real.filter(isOurs)).toEqual(page.filter(isOurs));
    // Of the process' own some have labels only once there is something to count.
    const bare = (metrics: readonly PageMetric[]) => metrics.map(({ name, type }) => `${name} ${type}`);
    expect(bare(real)).toEqual(bare(page));
  });
});

/** Returns the metrics in a text in Prometheus' format, by name. */
function served(text: string): readonly PageMetric[] {
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  const metrics = types.map(([, name = '', type = '']): PageMetric => {
    const lines = [...text.matchAll(new RegExp(`^${name}(?:_bucket)?\\{(.*)\\} `, 'gm'))];
    const labels = lines.flatMap(([, all = '']) => [...all.matchAll(/(\w+)="/g)].map(([, label = '']) => label));
    return { name, type, labels: [...new Set(labels)].filter((label) => label !== 'le').toSorted() };
  });
  return metrics.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
