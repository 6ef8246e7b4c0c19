import { expect, test } from 'vitest';
import { statusText } from '../../src/cli/status.ts';
import type { AgentStatus } from '../../src/rendezvous/agentSocket.ts';

const whole: AgentStatus = {
  version: '0.1.0',
  pid: 7,
  nodeName: 'node-1',
  source: { from: 'dir:/m', inSync: true, problems: [], away: undefined },
  backend: { name: 'iptables-nft', reason: 'no other is in use', families: ['ipv4', 'ipv6'] },
  generation: 12,
  pods: { attached: 3, adopted: 0, isolated: 2, quarantined: [] },
  policies: 4,
  kernel: { sets: 6, chains: 11 },
  lastSync: { at: '2026-11-21T03:00:00.000Z', milliseconds: 17.5 },
  failure: undefined,
  repairs: 0,
};

test('a node that is well takes seven lines', () => {
  expect(statusText(whole)).toMatchInlineSnapshot(`
    "node       node-1 (agent 0.1.0, pid 7)
    source     dir:/m, in sync
    backend    iptables-nft (no other is in use), ipv4 and ipv6
    policies   4
    pods       3 attached, 2 isolated, 0 quarantined
    kernel     generation 12, 6 sets, 11 chains, 0 repairs
    last sync  2026-11-21T03:00:00.000Z, took 17.5 ms
    "
  `);
});

test('what needs a person is named', () => {
  const text = statusText({
    ...whole,
    source: {
      from: 'dir:/m',
      inSync: false,
      problems: [{ where: 'a.yaml', line: 3, message: 'spec.ports: Unknown field' }],
      away: { since: '2026-11-21T02:59:00.000Z', reason: 'connect ECONNREFUSED 10.96.0.1:443' },
    },
    pods: { attached: 2, adopted: 1, isolated: 0, quarantined: ['shop/web'] },
    lastSync: undefined,
    failure: 'Cannot run "ipset save": ENOENT',
  });
  expect(text).toMatchInlineSnapshot(`
    "node       node-1 (agent 0.1.0, pid 7)
    source     dir:/m, not in sync: nothing is changed until everything was listed once
               away since 2026-11-21T02:59:00.000Z: connect ECONNREFUSED 10.96.0.1:443
    backend    iptables-nft (no other is in use), ipv4 and ipv6
    policies   4
    pods       2 attached, 0 isolated, 1 quarantined
               1 of them were there before the plugin was
               shop/web is refused everything: the source does not show it
    kernel     generation 12, 6 sets, 11 chains, 0 repairs
    last sync  never
    failure    Cannot run "ipset save": ENOENT
    problem    a.yaml:3: spec.ports: Unknown field
    "
  `);
});
