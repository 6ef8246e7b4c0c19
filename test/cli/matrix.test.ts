import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { matrixCommand } from '../../src/cli/matrix.ts';
import { snapshotFromJson } from '../../src/page/pageData.ts';
import type { Cell } from '../../src/policy/matrix.ts';
import { runCommand } from '../helpers/commandLine.ts';
import { loadExamples } from '../helpers/examples.ts';
import { directoryOf, exampleDirectory } from '../helpers/exampleSource.ts';
import { namespace, pod, policy, type Manifest } from '../helpers/manifests.ts';

async function matrix(directory: string, args: readonly string[] = [], columns = '80') {
  return runCommand(matrixCommand, ['--source', `dir:${directory}`, ...args], { COLUMNS: columns });
}

test('of an example the table shows who reaches whom', async () => {
  const { exitCode, stdout } = await matrix(exampleDirectory('test-network-policy'), ['--ports', '6379/TCP,5978/TCP']);
  expect(exitCode).toBe(0);
  expect(stdout).toMatchInlineSnapshot(`
    "           default/                      myproject/ outside/
               backend   db        frontend  worker     backup    excepted
               5978 6379 5978 6379 5978 6379 5978 6379  5978 6379 5978 6379
    default/
      backend  ●    ●    ·    ·    ●    ●    ●    ●     ●    ●    ●    ●
      db       ·    ·    ●    ●    ·    ·    ·    ·     ●    ·    ·    ·
      frontend ●    ●    ·    ●    ●    ●    ●    ●     ●    ●    ●    ●
    myproject/
      worker   ●    ●    ·    ●    ●    ●    ●    ●     ●    ●    ●    ●
    outside/
      backup   ●    ●    ·    ·    ●    ●    ●    ●     ●    ●    ●    ●
      excepted ●    ●    ·    ·    ●    ●    ●    ●     ●    ●    ●    ●
      in-block ●    ●    ·    ●    ●    ●    ●    ●     ●    ●    ●    ●

               outside/
               in-block
               5978 6379
    default/
      backend  ●    ●
      db       ·    ·
      frontend ●    ●
    myproject/
      worker   ●    ●
    outside/
      backup   ●    ●
      excepted ●    ●
      in-block ●    ●

    ● allowed  · blocked  from the left to above; ports are TCP unless said
    "
  `);
});

describe.for(loadExamples().filter(({ name }) => name !== 'dual-stack'))('$name', (example) => {
  test('the cells as JSON are the pinned verdicts', async () => {
    const ports = new Set(example.cells.map(({ port, protocol }) => `${port}/${protocol}`));
    const directory = exampleDirectory(example.name);
    const { stdout } = await matrix(directory, ['--ports', [...ports].join(), '--output', 'json']);
    const { cells } = JSON.parse(stdout) as { readonly cells: readonly Cell[] };
    const found = new Map(cells.map((cell) => [cellKey(cell), cell.verdict]));
    const wrong = example.cells.filter(
      (cell) => found.get(cellKey(cell)) !== (cell.verdict === 'allow' ? 'allowed' : 'blocked'),
    );
    expect(wrong).toEqual([]);
  });
});

function cellKey({ from, to, port, protocol }: Pick<Cell, 'from' | 'to' | 'port' | 'protocol'>): string {
  return `${from} ${to} ${port}/${protocol}`;
}

const SHOP: readonly Manifest[] = [
  namespace('shop'),
  namespace('monitoring', { team: 'ops' }),
  pod('shop/db-0', { labels: { app: 'db' }, ports: [{ name: 'redis', containerPort: 6379 }] }),
  ...['a', 'b', 'c'].map((replica) =>
    pod(`shop/web-7d4-${replica}`, {
      labels: { app: 'web', replica },
      ports: [
        { name: 'http', containerPort: 80 },
        { name: 'quic', containerPort: 443, protocol: 'UDP' },
      ],
    }),
  ),
  pod('monitoring/prometheus', { ports: [{ name: 'web', containerPort: 9090 }], nodeName: 'node-2' }),
  pod('monitoring/exporter', { nodeName: 'node-2', hostNetwork: true }),
  ...['node-1', 'node-2'].map((nodeName) =>
    pod(`shop/on-${nodeName}`, { nodeName, ports: [{ name: 'x', containerPort: 1 }] }),
  ),
  policy('shop/db', {
    podSelector: { matchLabels: { app: 'db' } },
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }] }],
  }),
  policy('shop/unlabelled', { podSelector: { matchExpressions: [{ key: 'app', operator: 'DoesNotExist' }] } }),
];

test('replicas share a row and a column, and what differs by node is told apart', async () => {
  const { stdout } = await matrix(directoryOf(SHOP));
  expect(stdout).toMatchInlineSnapshot(`
    "                monitoring/ shop/
                    prometheus  db-0  on-node-* (2)  web-7d4-* (3)
                    9090        6379  1              80 443/UDP
    monitoring/
      exporter      ●           ·     ◐              ●  ●
      prometheus    ●           ·     ·              ●  ●
    shop/
      db-0          ●           ●     ·              ●  ●
      on-node-* (2) ●           ·     ·              ●  ●
      web-7d4-* (3) ●           ●     ·              ●  ●

    ● allowed  · blocked  from the left to above; ports are TCP unless said
    ◐ allowed on the same node only
    "
  `);
});

test('a table that is too wide is cut into several', async () => {
  const { stdout } = await matrix(directoryOf(SHOP), [], '48');
  expect(stdout).toMatchInlineSnapshot(`
    "                monitoring/ shop/
                    prometheus  db-0
                    9090        6379
    monitoring/
      exporter      ●           ·
      prometheus    ●           ·
    shop/
      db-0          ●           ●
      on-node-* (2) ●           ·
      web-7d4-* (3) ●           ●

                    shop/
                    on-node-* (2)  web-7d4-* (3)
                    1              80 443/UDP
    monitoring/
      exporter      ◐              ●  ●
      prometheus    ·              ●  ●
    shop/
      db-0          ·              ●  ●
      on-node-* (2) ·              ●  ●
      web-7d4-* (3) ·              ●  ●

    ● allowed  · blocked  from the left to above; ports are TCP unless said
    ◐ allowed on the same node only
    "
  `);
});

test('a thousand pods fit into 80 columns', async () => {
  const apps = Array.from({ length: 25 }, (_, index) => `app-${index}`);
  const pods = apps.flatMap((app) =>
    Array.from({ length: 40 }, (_, replica) =>
      pod(`shop/${app}-${replica}`, { labels: { app }, ports: [{ name: 'http', containerPort: 8080 }] }),
    ),
  );
  const policies = apps.map((app) => policy(`shop/${app}`, { podSelector: { matchLabels: { app } }, ingress: [] }));
  const { stdout } = await matrix(directoryOf([...pods, ...policies]));
  const lines = stdout.split('\n').filter((line) => !line.includes('allowed'));
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(80);
  expect(lines.filter((line) => line.startsWith('  app-7-*'))).toHaveLength(7);
});

test('a slow reader at the other end of a pipe gets every cell', async () => {
  const pods = Array.from({ length: 150 }, (_, index) =>
    pod(`shop/web-${index}`, { ports: [{ name: 'http', containerPort: 80 }] }),
  );
  const program = join(import.meta.dirname, '../../src/main.ts');
  const args = ['matrix', '--source', `dir:${directoryOf(pods)}`, '--output', 'json'];
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'readable');
  await setTimeout(200);
  const { cells } = JSON.parse(await text(child.stdout)) as { readonly cells: readonly Cell[] };
  expect(cells).toHaveLength(150 * 150);
});

test('--namespace and --port narrow it', async () => {
  const { stdout } = await matrix(directoryOf(SHOP), ['--namespace', 'shop', '--port', '443/UDP']);
  expect(stdout).toMatchInlineSnapshot(`
    "                shop/
                    web-7d4-* (3)
                    443/UDP
    shop/
      db-0          ●
      on-node-* (2) ●
      web-7d4-* (3) ●

    ● allowed  · blocked  from the left to above; ports are TCP unless said
    "
  `);
});

test.for([
  {
    args: ['--port', '7'],
    message: 'No container declares 7/TCP: say with --ports which to ask for, e.g. --ports 7/TCP\n',
  },
  { args: ['--namespace', 'shopp'], message: 'There are no pods in these namespaces\n' },
])('nothing to show is no answer: $args', async ({ args, message }) => {
  expect(await matrix(directoryOf(SHOP), args)).toEqual({ exitCode: 2, stdout: '', stderr: message });
});

describe('--diff', () => {
  const change = join(
    directoryOf([
      policy('shop/db', {
        podSelector: { matchLabels: { app: 'db' } },
        ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'ops' } } }] }],
      }),
      pod('shop/new', { nodeName: '', ports: [{ name: 'x', containerPort: 5 }] }),
    ]),
    'objects.json',
  );

  test('says what opens, what closes and what is new', async () => {
    const { exitCode, stdout } = await matrix(directoryOf(SHOP), ['--diff', change]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatchInlineSnapshot(`
      "opens  shop/db-0 6379/TCP from monitoring/prometheus
      closes shop/db-0 6379/TCP from shop/web-7d4-a, shop/web-7d4-b, shop/web-7d4-c
      new (blocked) shop/new 5/TCP from monitoring/exporter, monitoring/prometheus, shop/db-0, shop/on-node-1 and 4 more
      new (allowed) monitoring/prometheus 9090/TCP, shop/new 5/TCP, shop/web-7d4-a 80/TCP, shop/web-7d4-a 443/UDP and 4 more from shop/new
      new (blocked) shop/db-0 6379/TCP, shop/on-node-1 1/TCP, shop/on-node-2 1/TCP from shop/new

      Cells: 1 opens, 3 closes, 19 new
      "
    `);
  });

  test('of what is there already says nothing', async () => {
    const directory = directoryOf(SHOP);
    expect((await matrix(directory, ['--diff', directory])).stdout).toBe('Nothing opens or closes\n');
  });

  test('as JSON has the cells', async () => {
    const { stdout } = await matrix(directoryOf(SHOP), ['--diff', change, '--output', 'json']);
    const changes = JSON.parse(stdout) as Readonly<Record<string, readonly Cell[]>>;
    expect(changes['opens']?.map(cellKey)).toEqual(['monitoring/prometheus shop/db-0 6379/TCP']);
    expect(changes['closes']?.map(cellKey)).toEqual(
      ['a', 'b', 'c'].map((replica) => `shop/web-7d4-${replica} shop/db-0 6379/TCP`),
    );
    expect(changes['gone']).toEqual([]);
  });
});

describe('--assert', () => {
  async function assert(expected: string, args: readonly string[] = []) {
    const directory = directoryOf(SHOP);
    const file = join(directory, 'expected.txt');
    writeFileSync(file, expected);
    const { exitCode, stdout, stderr } = await matrix(directory, ['--assert', file, ...args]);
    return { exitCode, stdout, stderr: stderr.replaceAll(directory, 'DIR') };
  }

  test('the cells that the matrix prints are as expected', async () => {
    const { stdout } = await matrix(directoryOf(SHOP), ['--output', 'json']);
    const { length } = (JSON.parse(stdout) as { readonly cells: readonly Cell[] }).cells;
    expect(await assert(stdout)).toEqual({
      exitCode: 0,
      stdout: `0 of ${length} cells are not as expected\n`,
      stderr: '',
    });
  });

  test('each cell that is otherwise is told, exit code 1', async () => {
    const cells = [
      '{ from: shop/web-7d4-a, to: shop/db-0, port: 6379, verdict: allowed, egress: blocked }',
      '{ from: 10.9.9.9, to: shop/db-0, port: 6379, protocol: udp, verdict: allowed }',
      '{ from: shop/web, to: shop/db-0, port: 6379, verdict: allowed }',
    ];
    expect(await assert(`cells:\n${cells.map((cell) => `- ${cell}\n`).join('')}`)).toMatchInlineSnapshot(`
      {
        "exitCode": 1,
        "stderr": "",
        "stdout": "shop/web-7d4-a → shop/db-0 6379/TCP: egress should be blocked and is allowed
      10.9.9.9 → shop/db-0 6379/UDP: verdict should be allowed and is blocked
      shop/web → shop/db-0 6379/TCP: Cannot use "shop/web": there is no such pod; did you mean shop/web-7d4-a, shop/web-7d4-b, shop/web-7d4-c?
      3 of 3 cells are not as expected
      ",
      }
    `);
  });

  test('a file that is none is told by field, exit code 2', async () => {
    expect(await assert('cells: [{ from: a, port: 0, verdict: yes, too: b }, { from: a, to: b, port: 1 }]'))
      .toMatchInlineSnapshot(`
        {
          "exitCode": 2,
          "stderr": "DIR/expected.txt: cells[0].too: Unknown field "too": expected "from", "to", "port", "portName", "protocol", "audit", "verdict", "egress", "ingress"
        DIR/expected.txt: cells[0].verdict: Cannot use "yes": must be "allowed" or "blocked"
        DIR/expected.txt: cells[0]: Missing answer: needs "verdict", "egress" or "ingress"
        DIR/expected.txt: cells[0].to: Missing end: needs NAMESPACE/POD or an address
        DIR/expected.txt: cells[0].port: Cannot use 0: a port is a number from 1 to 65535
        DIR/expected.txt: cells[1]: Missing answer: needs "verdict", "egress" or "ingress"
        ",
          "stdout": "",
        }
      `);
    expect(await assert('kind: Pod')).toMatchInlineSnapshot(`
      {
        "exitCode": 2,
        "stderr": "Cannot use "DIR/expected.txt": it has no "cells"
      ",
        "stdout": "",
      }
    `);
    expect(await assert('"')).toMatchInlineSnapshot(`
      {
        "exitCode": 2,
        "stderr": "DIR/expected.txt: Missing closing "quote at line 1, column 2:
      ",
        "stdout": "",
      }
    `);
  });
});

test('the page is one file that holds all it needs, and no name in it is markup', async () => {
  const directory = directoryOf(SHOP);
  writeFileSync(join(directory, '<!--<script>.yaml'), JSON.stringify(policy('shop/all', { podSelector: {} })));
  const { exitCode, stdout } = await matrix(directory, ['--output', 'html', '--port', '6379/TCP']);
  expect(exitCode).toBe(0);
  const [, data = ''] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(stdout) ?? [];
  const snapshot = snapshotFromJson(JSON.parse(data));
  expect(snapshot?.source).toBe(`dir:${directory}`);
  expect(snapshot?.options.only).toEqual({ port: 6379, protocol: 'TCP' });
  expect(snapshot?.places.get('shop/all')).toMatch(/<!--<script>\.yaml$/);
  expect(stdout.match(/<script[ >]/g)).toHaveLength(2);
  expect(stdout).not.toMatch(/<!--|https?:\/\/(?!www\.w3\.org\/)/);
  const [, script = ''] = /<script type="module">(.*?)<\/script>/s.exec(stdout) ?? [];
  expect(stdout).toContain(`script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'`);
});

test('the page of a change holds what is after it', async () => {
  const change = directoryOf([policy('shop/db', { podSelector: { matchLabels: { app: 'db' } } })]);
  const { stdout } = await matrix(directoryOf(SHOP), ['--output', 'html', '--diff', change]);
  const [, data = ''] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(stdout) ?? [];
  const { before, after } = snapshotFromJson(JSON.parse(data)) ?? {};
  expect(before?.policies.get('shop/db')?.ingress).toHaveLength(1);
  expect(after?.cluster.policies.get('shop/db')?.ingress).toEqual([]);
  expect(after?.source).toBe(change);
});

test('a page without cells is none, and what to ask for is told', async () => {
  const directory = directoryOf([pod('shop/web', {})]);
  expect(await matrix(directory, ['--output', 'html'])).toMatchObject({
    exitCode: 2,
    stdout: '',
    stderr: 'No container declares a port: say with --ports which to ask for, e.g. --ports 80/TCP,53/UDP\n',
  });
  expect((await matrix(directory, ['--output', 'html', '--ports', '80'])).exitCode).toBe(0);
});

test('what --assert finds is no page', async () => {
  const { exitCode, stderr } = await matrix(directoryOf(SHOP), ['--output', 'html', '--assert', 'x.yaml']);
  expect([exitCode, stderr]).toEqual([2, 'Cannot show as a page what --assert finds: use --output text or json\n']);
});
