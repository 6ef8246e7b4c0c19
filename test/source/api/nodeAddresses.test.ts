import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Pod } from '../../../src/kube/pod.ts';
import { configMapOf, readConfigMap, withNodeAddresses } from '../../../src/source/api/nodeAddresses.ts';
import { clusterOf, pod, type PodFacts } from '../../helpers/manifests.ts';

function podsOf(facts: Readonly<Record<string, PodFacts & { readonly uid?: string }>>): ReadonlyMap<string, Pod> {
  const manifests = Object.entries(facts).map(([name, { uid, ...rest }]) => {
    const manifest = pod(`shop/${name}`, rest);
    return { ...manifest, metadata: { ...(manifest['metadata'] as object), ...(uid !== undefined && { uid }) } };
  });
  return clusterOf(manifests).pods;
}

function addresses(pods: ReadonlyMap<string, Pod>): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(Array.from(pods.values(), (one) => [one.name, one.addresses]));
}

function told(entries: Readonly<Record<string, readonly string[]>>) {
  return { nodeName: 'node-1', addresses: new Map(Object.entries(entries)), version: '20' };
}

/** Every pod was changed before its node told anything. */
const before = () => '10';
const after = () => '30';

describe('the object of a node', () => {
  test('tells what it was given', () => {
    const one = told({ 'uid-a': ['10.0.0.1', 'fd00::1'], __proto__: ['10.0.0.2'] });
    expect(configMapOf(one)).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace: 'kube-nwplcy', name: 'node-1', labels: { 'app.kubernetes.io/managed-by': 'kube-nwplcy' } },
      data: Object.fromEntries([...one.addresses].map(([uid, list]) => [uid, list.join(',')])),
    });
    const { nodeName, addresses: tells } = one;
    expect(readConfigMap(JSON.parse(JSON.stringify(configMapOf(one))) as Record<string, unknown>)).toEqual({
      nodeName,
      addresses: tells,
    });
  });

  test.for([[undefined], [null], [5], [[]], [{}]])('with data %j tells nothing', ([data]) => {
    expect(readConfigMap({ metadata: { name: 'node-1' }, data })).toEqual({ nodeName: 'node-1', addresses: new Map() });
  });

  test.for([
    ['no address', ''],
    ['text', 'x'],
    ['a number', 5],
    ['loopback', '127.0.0.1,::1'],
    ['unspecified', '0.0.0.0,::'],
    ['link-local', '169.254.1.1,fe80::1,febf::1'],
    ['multicast', '224.0.0.1,239.255.255.255,ff02::1'],
    ['reserved', '240.0.0.1,255.255.255.255'],
    ['a network', '10.0.0.0/8'],
    ['IPv4 within IPv6', '::ffff:10.0.0.1'],
  ])('gives no pod %s', ([, text]) => {
    const data = { bad: text, good: `10.0.0.1,${String(text)}` };
    expect(readConfigMap({ metadata: { name: 'node-1' }, data }).addresses).toEqual(new Map([['good', ['10.0.0.1']]]));
  });
});

describe('a node', () => {
  test('gives its pod the addresses that the API does not show yet', () => {
    const pods = podsOf({ a: { uid: 'uid-a' }, b: { uid: 'uid-b', addresses: ['10.0.0.2'] } });
    const result = withNodeAddresses(pods, told({ 'uid-a': ['10.0.0.1'] }), before);
    expect(addresses(result)).toEqual({ a: ['10.0.0.1'], b: ['10.0.0.2'] });
    expect(result.get('shop/b')).toBe(pods.get('shop/b'));
    expect(addresses(pods)).toEqual({ a: [], b: ['10.0.0.2'] });
  });

  test('knows better than the API: the pod was started anew with another address', () => {
    const pods = podsOf({ a: { uid: 'uid-a', addresses: ['10.0.0.1'] } });
    expect(addresses(withNodeAddresses(pods, told({ 'uid-a': ['10.0.0.9'] }), before))).toEqual({
      a: ['10.0.0.9'],
    });
  });

  test('is believed no longer than until the API tells something newer: its agent may be gone since', () => {
    const pods = podsOf({
      a: { uid: 'uid-a', addresses: ['10.0.0.1'] },
      heir: { uid: 'uid-heir', addresses: ['10.0.0.9'] },
      late: { uid: 'uid-late' },
    });
    const tells = told({ 'uid-a': ['10.0.0.9'], 'uid-late': ['10.0.0.3'] });
    expect(addresses(withNodeAddresses(pods, tells, after))).toEqual({
      a: ['10.0.0.1'],
      heir: ['10.0.0.9'],
      late: ['10.0.0.3'],
    });
  });

  test('takes an address from its other pods that gives it to one', () => {
    const pods = podsOf({
      gone: { uid: 'uid-gone', addresses: ['10.0.0.1', 'fd00::1'] },
      late: { uid: 'uid-late' },
    });
    expect(addresses(withNodeAddresses(pods, told({ 'uid-late': ['10.0.0.1'] }), before))).toEqual({
      gone: ['fd00::1'],
      late: ['10.0.0.1'],
    });
  });

  test.for<readonly [string, PodFacts & { readonly uid?: string }]>([
    ['with another uid', { uid: 'uid-b' }],
    ['without a uid', {}],
    ['of the host network', { uid: 'uid-a', hostNetwork: true }],
    ['that has finished', { uid: 'uid-a', phase: 'Succeeded' }],
    ['that has failed', { uid: 'uid-a', phase: 'Failed' }],
  ])('gives nothing to a pod %s', ([, facts]) => {
    const pods = podsOf({ a: facts });
    const tells = told({ 'uid-a': ['10.0.0.1'], '': ['10.0.0.2'] });
    expect(withNodeAddresses(pods, tells, before)).toEqual(pods);
  });

  test('speaks for its running pods by their uid only', () => {
    const address = fc.integer({ min: 1, max: 6 }).map((last) => `10.0.0.${last}`);
    const uid = fc.constantFrom('uid-1', 'uid-2', 'uid-3', 'uid-4', '');
    const facts = fc.record({
      uid,
      addresses: fc.uniqueArray(address, { maxLength: 2 }),
      hostNetwork: fc.boolean(),
      phase: fc.constantFrom('Running', 'Pending', 'Succeeded'),
    });
    const entries = fc.dictionary(uid, fc.array(address, { minLength: 1, maxLength: 2 }));
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), facts), entries, (pods, tells) => {
        const shownPods = podsOf(pods);
        const { addresses: teller } = told(tells);
        const isRunning = (one: Pod) => !one.hostNetwork && one.phase !== 'Succeeded';
        const given = (one: Pod) => (isRunning(one) && one.uid !== undefined ? teller.get(one.uid) : undefined);
        // Only what a pod of the node was given is no other's.
        const taken = new Set([...shownPods.values()].flatMap((one) => given(one) ?? []));
        for (const [key, { addresses: result, ...rest }] of withNodeAddresses(shownPods, told(tells), before)) {
          const one = shownPods.get(key) as Pod;
          const { addresses: shown, ...same } = one;
          expect(rest).toEqual(same);
          const left = one.hostNetwork ? shown : shown.filter((each) => !taken.has(each));
          expect(result).toEqual(given(one) ?? left);
        }
      }),
    );
  });
});
