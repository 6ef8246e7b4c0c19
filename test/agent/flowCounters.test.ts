import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { FlowCounters } from '../../src/agent/flowCounters.ts';
import { addFlowMetrics } from '../../src/agent/metrics/flowMetrics.ts';
import type { DeniedFlow } from '../../src/rendezvous/deniedFlow.ts';
import { deniedFlow } from '../helpers/deniedFlow.ts';

const FLOW = deniedFlow();

function countsAfter(...looks: readonly (readonly DeniedFlow[])[]): readonly string[] {
  const counters = new FlowCounters();
  for (const flows of looks) counters.take(flows);
  return [...counters.counts()].map(({ pod, direction, audit, packets }) => `${pod} ${direction} ${audit} ${packets}`);
}

describe('what was counted of an end', () => {
  test('is that of all its flows', () => {
    const other = { ...FLOW, port: 81 };
    const egress: DeniedFlow = { ...FLOW, direction: 'egress', audit: true, from: { address: '10.0.0.9', pod: null } };
    expect(countsAfter([FLOW, other, egress])).toEqual(['shop/db ingress false 6', '10.0.0.9 egress true 3']);
  });

  test('grows by what came since, though the first time is told a little differently', () => {
    expect(countsAfter([FLOW], [FLOW], [{ ...FLOW, packets: 5, firstSeen: '2026-01-01T12:00:01.000Z' }])).toEqual([
      'shop/db ingress false 5',
    ]);
  });

  test('never shrinks: a flow that is forgotten stays counted, and one that begins anew is another', () => {
    const anew = { ...FLOW, firstSeen: '2026-01-01T12:10:30.000Z' };
    expect(countsAfter([FLOW], [])).toEqual(['shop/db ingress false 3']);
    expect(countsAfter([FLOW], [{ ...anew, packets: 1 }])).toEqual(['shop/db ingress false 4']);
    expect(countsAfter([FLOW], [{ ...anew, packets: 7 }])).toEqual(['shop/db ingress false 10']);
  });

  test('of more ends than are told by name is told together', () => {
    const flows = Array.from({ length: 150 }, (_, index) => ({
      ...FLOW,
      to: { address: `10.0.1.${index}`, pod: `shop/db-${index}` },
    }));
    const counts = countsAfter(flows, flows);
    expect(counts.length).toBe(101);
    expect(counts.at(-1)).toBe('other ingress false 150');
  });
});

test('Prometheus is told, and a kernel that does not answer takes nothing back', async () => {
  const registry = new Registry();
  let answers = true;
  addFlowMetrics(registry, async () => (answers ? [FLOW] : Promise.reject(new Error('no luck'))));
  const line = 'kube_nwplcy_denied_packets_total{pod="shop/db",direction="ingress",audit="false"} 3\n';
  expect(await registry.metrics()).toContain(line);
  answers = false;
  expect(await registry.metrics()).toContain(line);
});
