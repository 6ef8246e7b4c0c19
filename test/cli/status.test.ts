import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listen } from '../../src/agent/socket.ts';
import { needsOf, type SeenNode } from '../../src/cli/nodeNeeds.ts';
import { statusCommand } from '../../src/cli/status.ts';
import { statusText } from '../../src/cli/statusText.ts';
import { agentSocketPath, type AgentReply, type AgentStatus } from '../../src/rendezvous/agentSocket.ts';
import { wholeStatus as whole } from '../helpers/agentStatus.ts';
import { runCommand } from '../helpers/commandLine.ts';

const NOW = Date.parse('2026-11-21T03:00:05.000Z');

const told = (status: AgentStatus, seen: Pick<SeenNode, 'hookProblems'> = { hookProblems: [] }) =>
  statusText({ status, ...seen }, needsOf({ status, ...seen }, NOW));

test('a node that is well says so first, and takes one screen', () => {
  expect(told(whole)).toMatchInlineSnapshot(`
    "This node is protected.

    node       node-1 (agent 0.1.0, pid 7, since 2026-11-21T01:00:00.000Z)
    source     dir:/m, in sync since 2026-11-21T01:00:01.000Z
    backend    iptables-nft (no other is in use), ipv4 and ipv6
    hooks      in place, first in FORWARD
    bridge     br_netfilter is loaded, bridge-nf-call-iptables=1, bridge-nf-call-ip6tables=1; 3 pods need it
    policies   4
    pods       3: 2 isolated by policies, 1 that no policy selects, 0 quarantined
    kernel     generation 12, 6 sets, 11 chains, 0 repairs
    last sync  2026-11-21T03:00:00.000Z, took 17.5 ms
    "
  `);
});

test('a log that was asked for is told, and why there is none', () => {
  const row = (problem: string | undefined) => /^log .*$/m.exec(told({ ...whole, nflog: { group: 5, problem } }))?.[0];
  expect([row(undefined), row('no\u001b luck')]).toEqual([
    'log        NFLOG group 5',
    'log        NFLOG group 5, which the kernel refuses: no\\u{1b} luck',
  ]);
});

test('what needs a person is named first, with what to do', () => {
  const text = told(
    {
      ...whole,
      source: {
        from: 'dir:/m',
        inSync: false,
        inSyncSince: undefined,
        problems: [{ where: 'a.yaml', line: 3, message: 'spec.ports: Unknown field' }],
        away: { since: '2026-11-21T02:59:00.000Z', reason: 'connect ECONNREFUSED 10.96.0.1:443' },
      },
      pods: {
        attached: 2,
        adopted: 1,
        isolated: 0,
        quarantined: ['shop/web'],
        quarantinedSince: { 'shop/web': '2026-11-21T02:00:00.000Z' },
        bridged: 0,
      },
      bridgeNetfilter: undefined,
      lastSync: undefined,
      failure: 'Cannot run "ipset save": ENOENT',
    },
    { hookProblems: undefined },
  );
  expect(text).toMatchInlineSnapshot(`
    "This node is NOT protected as it should be:
      The kernel does not hold what it should: Cannot run "ipset save": ENOENT
        → the agent tries again and again; run "kube-nwplcy doctor" on the node for what is in its way
      The agent has not listed everything yet since its start, and changes nothing before it has
        → see the next line
      Nothing new is heard of the source since 2026-11-21T02:59:00.000Z: connect ECONNREFUSED 10.96.0.1:443
        → make it reachable; until then what was listed last stays in force
      Cannot use a.yaml:3: spec.ports: Unknown field
        → mend it there; until then its last good content is in force
      shop/web is refused everything since 2026-11-21T02:00:00.000Z: the source does not show it, or shows another pod of that name
        → see whether the pod is still in the source, with this node and the uid that the runtime told

    node       node-1 (agent 0.1.0, pid 7, since 2026-11-21T01:00:00.000Z)
    source     dir:/m, not in sync
               away since 2026-11-21T02:59:00.000Z: connect ECONNREFUSED 10.96.0.1:443
    backend    iptables-nft (no other is in use), ipv4 and ipv6
    hooks      not looked at
    bridge     br_netfilter is not loaded, no pod needs it
    policies   4
    pods       2: 0 isolated by policies, 1 that no policy selects, 1 quarantined
               1 of them were there before the plugin was
               shop/web is refused everything since 2026-11-21T02:00:00.000Z: the source does not show it
    kernel     generation 12, 6 sets, 11 chains, 0 repairs
    last sync  never
    failure    Cannot run "ipset save": ENOENT
    problem    a.yaml:3: spec.ports: Unknown field
    "
  `);
});

describe('whose turn it is', () => {
  test.for<{ readonly name: string; readonly status: Partial<AgentStatus>; readonly needs: readonly boolean[] }>([
    { name: 'nobody, where all is well', status: {}, needs: [] },
    { name: 'a failure leaves the node open', status: { failure: 'x' }, needs: [true] },
    {
      name: 'a pod that is quarantined for some seconds is nobody’s fault',
      status: { pods: { ...whole.pods, quarantined: ['a/b'], quarantinedSince: { 'a/b': '2026-11-21T03:00:00Z' } } },
      needs: [],
    },
    {
      name: 'one that stays quarantined is closed, and needs somebody',
      status: { pods: { ...whole.pods, quarantined: ['a/b'], quarantinedSince: { 'a/b': '2026-11-21T02:00:00Z' } } },
      needs: [false],
    },
    {
      name: 'a source that is away leaves the last rules in force',
      status: { source: { ...whole.source, away: { since: '2026-11-21T02:00:00Z', reason: 'x' } } },
      needs: [false],
    },
    {
      name: 'a manifest that cannot be used leaves its last content in force',
      status: { source: { ...whole.source, problems: [{ where: 'a', line: undefined, message: 'b' }] } },
      needs: [false],
    },
    { name: 'an agent that has written nothing', status: { lastSync: undefined }, needs: [true] },
  ])('$name', ({ status, needs }) => {
    const found = needsOf({ status: { ...whole, ...status }, hookProblems: [] }, NOW);
    expect(found.map(({ isOpen }) => isOpen)).toEqual(needs);
  });

  test('a hook that is not in place comes first, and leaves the node open', () => {
    const [need] = needsOf({ status: whole, hookProblems: ['ipv4: FORWARD has no jump'] }, NOW);
    expect(need).toMatchObject({ isOpen: true, what: 'Packets do not reach the rules: ipv4: FORWARD has no jump' });
  });
});

test('what comes from outside moves no cursor', () => {
  const hostile = '\u001b[2J\nThis node is protected.\u202e';
  const text = told({
    ...whole,
    nodeName: hostile,
    failure: hostile,
    source: { ...whole.source, problems: [{ where: hostile, line: 1, message: hostile }] },
  });
  expect([text.includes('\u001b'), text.includes('\u202e'), /^This node is protected/m.test(text)]).toEqual([
    false,
    false,
    false,
  ]);
});

describe('the command', () => {
  let runtimeDir: string;
  let server: Server | undefined;
  beforeEach(() => void (runtimeDir = mkdtempSync(join(tmpdir(), 'status-'))));
  afterEach(() => {
    server?.close();
    server = undefined;
    rmSync(runtimeDir, { recursive: true, force: true });
  });

  const run = (...args: readonly string[]) => runCommand(statusCommand, ['--runtime-dir', runtimeDir, ...args]);
  // Before its first change there are no hooks to be looked at.
  const early: AgentStatus = { ...whole, lastSync: undefined };
  const serve = async (reply: (ask: string) => AgentReply) =>
    (server = await listen(agentSocketPath(runtimeDir), async ({ ask }) => reply(ask)));

  test('without an agent says what that means for the node, and exits 1', async () => {
    const { exitCode, stdout, stderr } = await run();
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^Cannot reach the agent at ".*": ENOENT; start /);
    expect(stderr).toContain('the rules that are in the kernel stay in force');
    expect(stderr).toContain('A new pod\nis quarantined');
  });

  test('where there never was one says that no policy is in force', async () => {
    rmSync(runtimeDir, { recursive: true });
    const { exitCode, stderr } = await run();
    expect([exitCode, stderr.includes('No policy is in force')]).toEqual([1, true]);
  });

  test('without an agent has an answer in JSON too', async () => {
    const { stdout } = await run('--output', 'json');
    expect(JSON.parse(stdout)).toEqual({ protected: null, noAgent: expect.stringContaining('ENOENT') });
  });

  test('tells in JSON what the agent told, whether the node is protected and what it needs', async () => {
    await serve(() => ({ kind: 'status', status: early }));
    const { exitCode, stdout } = await run('--output', 'json');
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      protected: false,
      headline: 'This node is NOT protected as it should be:',
      needs: [{ isOpen: true, what: 'Nothing was written into the kernel yet' }],
      hookProblems: null,
      nodeName: 'node-1',
      pods: whole.pods,
    });
  });

  test('waits for an agent that is still to come, and for its kernel', async () => {
    const asked: string[] = [];
    const answer = run('--wait-synced', '--timeout', '10s');
    setTimeout(() => {
      void serve((ask) => {
        asked.push(ask);
        return ask === 'sync' ? { kind: 'synced', problems: [] } : { kind: 'status', status: early };
      });
    }, 300);
    expect((await answer).stdout).toContain('node-1');
    expect(asked.slice(0, 2)).toEqual(['sync', 'status']);
  });

  test('waits no longer than it was told', async () => {
    const silent = createServer({ allowHalfOpen: true }, () => undefined);
    await new Promise<void>((resolve) => silent.listen(agentSocketPath(runtimeDir), resolve));
    server = silent;
    const { exitCode, stderr } = await run('--wait-synced', '--timeout', '200ms');
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/^No answer from the agent at .* within \d+ ms$/m)]);
  });

  test.for([['--timeout', '5'], ['--output', 'xml'], ['--what'], ['more']])('refuses %s', async (args) => {
    const { exitCode, stderr } = await run(...args);
    expect([exitCode, stderr.split('\n').length]).toEqual([2, 2]);
  });
});
