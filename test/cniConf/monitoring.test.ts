import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { AgentMetrics } from '../../src/agent/metrics/agentMetrics.ts';
import { wholeStatus } from '../helpers/agentStatus.ts';
import { check, metricsIn, promtool } from '../helpers/promtool.ts';
import { TemporaryDirectory } from '../helpers/temporaryDirectory.ts';
import { manifestObjects, podSpec } from './manifests.ts';

const FOLDER = 'cni-conf/monitoring';

interface Alert {
  readonly alert: string;
  readonly expr: string;
}

const alerts = (parse(readFileSync(`${FOLDER}/alerts.yaml`, 'utf8')) as { groups: [{ rules: readonly Alert[] }] })
  .groups[0].rules;
const tests = parse(readFileSync(`${FOLDER}/alerts.test.yaml`, 'utf8')) as {
  readonly tests: readonly {
    readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[];
    readonly promql_expr_test?: readonly { readonly expr: string }[];
  }[];
};

interface Panel {
  readonly title: string;
  readonly targets: readonly { readonly expr: string }[];
}

const dashboard = JSON.parse(readFileSync(`${FOLDER}/dashboard.json`, 'utf8')) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly query: string }[] };
};
const queries = dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr })));

/** Returns the names that can be asked for: of a histogram its three series. */
async function known(): Promise<ReadonlySet<string>> {
  const metrics = new AgentMetrics({ version: '0', backend: 'nftables' }, () => wholeStatus);
  metrics.serve(async () => []);
  const text = await metrics.text();
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return new Set(
    types.flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
}

describe('the alerts', () => {
  test('each has a test in which it fires, and one in which it does not', () => {
    const names = alerts.map(({ alert }) => alert);
    const firing = tests.tests.flatMap(({ promql_expr_test: some = [] }) =>
      some.map(({ expr }) => /alertname="(\w+)"/.exec(expr)?.[1]),
    );
    const silent = tests.tests.flatMap(({ alert_rule_test: some }) =>
      some.filter(({ exp_alerts: expected }) => expected.length === 0).map(({ alertname }) => alertname),
    );
    expect(new Set(firing)).toEqual(new Set(names));
    expect(new Set(silent)).toEqual(new Set(names));
  });

  test.skipIf(promtool === undefined)('are rules, and pass their tests', async () => {
    const rules = await check(['check', 'rules', `${FOLDER}/alerts.yaml`]);
    expect([rules.exitCode, rules.said]).toEqual([0, expect.stringContaining(`${alerts.length} rules found`)]);
    const tested = await check(['test', 'rules', `${FOLDER}/alerts.test.yaml`]);
    expect([tested.exitCode, tested.said]).toEqual([0, expect.stringContaining('SUCCESS')]);
  });

  test('ask for nothing that an agent does not tell', async () => {
    const names = await known();
    expect(alerts.flatMap(({ expr }) => metricsIn(expr)).filter((name) => !names.has(name))).toEqual([]);
  });
});

describe('the dashboard', () => {
  test('asks for nothing that an agent does not tell, and for everything that counts', async () => {
    const names = await known();
    const asked = new Set(queries.flatMap(({ expr }) => metricsIn(expr)));
    expect([...asked].filter((name) => !names.has(name))).toEqual([]);
    expect(queries.filter(({ expr }) => metricsIn(expr).length === 0)).toEqual([]);
    for (const { query } of dashboard.templating.list)
      expect(metricsIn(query).every((name) => names.has(name))).toBe(true);
    // Besides details: what stands for itself in a panel of its own.
    const ours = [...names].filter((name) => name.startsWith('kube_nwplcy_') && !/_(?:sum|count)$/.test(name));
    const details = ['source_in_sync', 'last_sync_timestamp_seconds', 'generation', 'source_problem'];
    expect(ours.filter((name) => !asked.has(name))).toEqual(
      expect.arrayContaining(details.map((name) => `kube_nwplcy_${name}`)),
    );
    expect(ours.filter((name) => !asked.has(name)).length).toBe(details.length);
  });

  test.skipIf(promtool === undefined)('asks in PromQL', async () => {
    using place = new TemporaryDirectory();
    const rules = queries.map(({ expr }, index) => ({
      record: `panel_${index}`,
      expr: expr.replaceAll('$node', '.*').replaceAll('$__rate_interval', '5m'),
    }));
    // JSON is YAML.
    writeFileSync(place.file('panels.yaml'), JSON.stringify({ groups: [{ name: 'panels', rules }] }));
    expect(await check(['check', 'rules', place.file('panels.yaml')])).toMatchObject({ exitCode: 0 });
  });

  test('no panel lies over another', () => {
    const cells = dashboard.panels.flatMap((panel) => cellsOf(panel as Panel & { readonly gridPos: Grid }));
    expect(new Set(cells).size).toBe(cells.length);
  });
});

test('the PodMonitor finds the agent’s container, and the port that it serves', () => {
  const [monitor] = manifestObjects('monitoring/pod-monitor.yaml');
  const agent = podSpec('kube-nwplcy.yaml').containers.find(({ name }) => name === 'agent');
  const [port] = (agent as unknown as { args: readonly string[] }).args.flatMap(
    (arg) => /^--metrics-addr=.*:(\d+)$/.exec(arg)?.[1] ?? [],
  );
  const text = JSON.stringify(monitor?.['spec']);
  expect(text).toContain('"regex":"agent"');
  expect(text).toContain(`"replacement":"\${1}:${port}"`);
});

interface Grid {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

function cellsOf({ gridPos: { x, y, w, h } }: { readonly gridPos: Grid }): readonly string[] {
  return Array.from({ length: w * h }, (_, index) => `${x + (index % w)} ${y + Math.floor(index / w)}`);
}
