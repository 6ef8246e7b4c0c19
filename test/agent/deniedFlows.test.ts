import { expect, test } from 'vitest';
import { deniedFlows } from '../../src/agent/deniedFlows.ts';
import type { FlowRecord } from '../../src/rules/recordedFlows.ts';
import { clusterOf, namespace, pod, policy } from '../helpers/manifests.ts';

const CLUSTER = clusterOf([
  namespace('shop'),
  pod('shop/db', { labels: { app: 'db' }, addresses: ['10.244.1.2'] }),
  pod('shop/web', { labels: { app: 'web' }, addresses: ['10.244.1.3'] }),
  pod('shop/old', { labels: { app: 'web' }, addresses: ['10.244.1.4'], phase: 'Succeeded' }),
  policy('shop/deny', { podSelector: {}, policyTypes: ['Ingress'] }),
  policy('shop/both', { podSelector: { matchLabels: { app: 'db' } }, policyTypes: ['Ingress', 'Egress'] }),
  policy('other/deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }),
]);

const RECORD: FlowRecord = {
  kind: 'denied',
  direction: 'ingress',
  family: 'ipv4',
  source: '10.244.1.3',
  destination: '10.244.1.2',
  protocol: 'TCP',
  port: 80,
  packets: 1,
  firstSeen: 1000,
  lastSeen: 2000,
};

test('ends are told by their pods, and the policies are those that isolate the side that refuses', () => {
  const egress = { ...RECORD, direction: 'egress', source: '10.244.1.2', destination: '192.0.2.1', lastSeen: 3000 };
  const flows = deniedFlows([RECORD, { ...egress, direction: 'egress' }], CLUSTER);
  expect(flows.map(({ direction, from, to, policies }) => [direction, from.pod, to.pod, to.address, policies])).toEqual(
    [
      ['egress', 'shop/db', null, '192.0.2.1', ['shop/both']],
      ['ingress', 'shop/web', 'shop/db', '10.244.1.2', ['shop/both', 'shop/deny']],
    ],
  );
});

test('a pod that has ended does not have its address any more, and who has none is told by it', () => {
  const [flow] = deniedFlows([{ ...RECORD, destination: '10.244.1.4' }], CLUSTER);
  expect([flow?.to, flow?.policies]).toEqual([{ address: '10.244.1.4', pod: null }, []]);
});

test('times, audit mode and protocols without ports are told', () => {
  const [flow] = deniedFlows([{ ...RECORD, kind: 'audited', protocol: 'ICMP', port: undefined }], CLUSTER);
  expect(flow).toMatchObject({
    audit: true,
    port: null,
    firstSeen: '1970-01-01T00:00:01.000Z',
    lastSeen: '1970-01-01T00:00:02.000Z',
  });
});
