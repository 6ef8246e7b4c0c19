import { expect, test } from 'vitest';
import { adopt, isAdopted } from '../../src/agent/adoptedPods.ts';
import type { PodInterface } from '../../src/dataplane/podInterfaces.ts';
import { attachment } from '../helpers/attachments.ts';
import { clusterOf, pod } from '../helpers/manifests.ts';

const PODS = [
  ...clusterOf([
    pod('shop/web', { addresses: ['10.0.0.1', 'fd00::1'] }),
    pod('shop/db', { addresses: ['10.0.0.2'] }),
  ]).pods.values(),
];

function interfacesOf(found: Readonly<Record<string, string>>): readonly (string | undefined)[] {
  const interfaces = new Map<string, PodInterface>(
    Object.entries(found).map(([address, hostInterface]) => [address, { hostInterface, bridged: true }]),
  );
  return adopt(PODS, interfaces).map(({ hooks }) => hooks.hostInterface);
}

test('a pod is locked to the interface that all of its addresses were found at', () => {
  expect(interfacesOf({ '10.0.0.1': 'veth1', 'fd00::1': 'veth1', '10.0.0.2': 'veth2' })).toEqual(['veth1', 'veth2']);
  expect(interfacesOf({ '10.0.0.1': 'veth1' })).toEqual(['veth1', undefined]);
});

test('a pod whose addresses were found apart is hooked in by them alone', () => {
  expect(interfacesOf({ '10.0.0.1': 'veth1', 'fd00::1': 'veth9' })).toEqual([undefined, undefined]);
});

test('an interface that two pods claim locks neither: one of them answers for the other', () => {
  expect(interfacesOf({ '10.0.0.1': 'veth1', '10.0.0.2': 'veth1' })).toEqual([undefined, undefined]);
});

test('no attachment of a runtime looks adopted', () => {
  const [web] = adopt(PODS, new Map());
  expect([web !== undefined && isAdopted(web.hooks), isAdopted(attachment('shop/web', {}))]).toEqual([true, false]);
});
