import { describe, expect, test } from 'vitest';
import { localView, uidsOf } from '../../src/agent/localPods.ts';
import type { Cluster } from '../../src/kube/cluster.ts';
import { objectKey, type Pod } from '../../src/kube/pod.ts';
import type { Attachment } from '../../src/rendezvous/attachment.ts';
import { idOf } from '../../src/rules/pod.ts';
import { attachment } from '../helpers/attachments.ts';
import { clusterOf, pod } from '../helpers/manifests.ts';

const WORLD = clusterOf([
  pod('shop/web', { addresses: ['10.0.0.1', 'fd00::1'] }),
  pod('shop/new', {}),
  pod('shop/far', { addresses: ['10.0.1.1'], nodeName: 'node-2' }),
  pod('shop/host', { addresses: ['192.168.0.1'], hostNetwork: true }),
]);

function view(attachments: readonly Attachment[], { cluster = WORLD, detached = [] as readonly string[] } = {}) {
  const {
    cluster: local,
    podOf,
    unrecorded,
  } = localView(cluster, {
    nodeName: 'node-1',
    attachments,
    detached: new Set(detached),
  });
  return {
    addresses: Object.fromEntries([...local.pods].map(([key, { addresses }]) => [key, addresses])),
    podOf,
    unrecorded: unrecorded.map(objectKey),
    local,
  };
}

/** The world in which one pod has other facts. */
function withPod(key: string, facts: Partial<Pod>): Cluster {
  const before = WORLD.pods.get(key);
  return before === undefined ? WORLD : { ...WORLD, pods: new Map(WORLD.pods).set(key, { ...before, ...facts }) };
}

const API = {
  'shop/web': ['10.0.0.1', 'fd00::1'],
  'shop/new': [],
  'shop/far': ['10.0.1.1'],
  'shop/host': ['192.168.0.1'],
};

describe('the addresses of pods', () => {
  test('are those of the API where there is no record', () => {
    const { addresses, podOf, local } = view([]);
    expect([addresses, podOf]).toEqual([API, new Map()]);
    // Nothing is made anew that need not be.
    expect([...local.pods.values()]).toEqual([...WORLD.pods.values()]);
    expect(local.pods.get('shop/far')).toBe(WORLD.pods.get('shop/far'));
  });

  test('are those of the record before the API tells any', () => {
    expect(view([attachment('shop/new', { addresses: ['10.0.0.7'] })]).addresses).toEqual({
      ...API,
      'shop/new': ['10.0.0.7'],
    });
  });

  test('are those of the record, whatever the API still tells', () => {
    expect(view([attachment('shop/web', { addresses: ['10.0.0.9'] })]).addresses).toEqual({
      ...API,
      'shop/web': ['10.0.0.9'],
    });
  });

  test('are those of all records of a pod', () => {
    const two = [
      attachment('shop/web', { addresses: ['10.0.0.1'] }),
      attachment('shop/web', { ifName: 'net1', addresses: ['10.9.0.1'] }),
    ];
    expect(view(two).addresses).toEqual({ ...API, 'shop/web': ['10.0.0.1', '10.9.0.1'] });
  });

  test('are not what a record gives to somebody else', () => {
    const { addresses } = view([attachment('shop/new', { addresses: ['10.0.0.1', '10.0.1.1'] })]);
    expect(addresses).toEqual({
      ...API,
      'shop/web': ['fd00::1'],
      'shop/new': ['10.0.0.1', '10.0.1.1'],
      'shop/far': [],
    });
  });

  test('are not what a record gives to a pod that the source does not show', () => {
    expect(view([attachment('shop/unknown', { addresses: ['10.0.0.1'] })]).addresses).toEqual({
      ...API,
      'shop/web': ['fd00::1'],
    });
  });

  test('are none once the pod is detached', () => {
    expect(view([], { detached: ['shop/web'] }).addresses).toEqual({ ...API, 'shop/web': [] });
  });

  test('of a pod of another node or of the node’s own network do not depend on what was detached here', () => {
    expect(view([], { detached: ['shop/far', 'shop/host'] }).addresses).toEqual(API);
  });
});

describe('an attachment belongs to the pod of its name', () => {
  const record = attachment('shop/web', { uid: 'u1', addresses: ['10.0.0.1'] });
  const owner = (cluster: Cluster, one: Attachment = record) => view([one], { cluster }).podOf.get(idOf(one));

  test.for<{ readonly what: string; readonly facts: Partial<Pod>; readonly uid?: string | undefined }>([
    { what: 'the uid is the pod’s', facts: { uid: 'u1' } },
    { what: 'the uid is the hash of a static pod', facts: { uid: 'mirror', staticPodHash: 'u1' } },
    { what: 'the source does not tell a uid', facts: { uid: undefined, staticPodHash: undefined } },
    { what: 'the runtime does not tell a uid', facts: { uid: 'u1' }, uid: undefined },
  ])('when $what', ({ facts, ...rest }) => {
    const one = 'uid' in rest ? { ...record, uid: rest.uid } : record;
    expect(owner(withPod('shop/web', facts), one)).toBe('shop/web');
  });

  test.for<{ readonly what: string; readonly facts: Partial<Pod> }>([
    { what: 'the uid is another: the pod was created again under its name', facts: { uid: 'u2' } },
    { what: 'neither the uid nor the hash is the record’s', facts: { uid: 'u2', staticPodHash: 'h' } },
    { what: 'the source shows the pod on another node', facts: { uid: 'u1', nodeName: 'node-2' } },
    { what: 'the source shows the pod on no node', facts: { uid: 'u1', nodeName: undefined } },
    {
      what: 'the source shows the pod in the node’s own network',
      facts: { uid: 'u1', hostNetwork: true, addresses: [] },
    },
  ])('but not when $what', ({ facts }) => {
    expect(owner(withPod('shop/web', facts))).toBeUndefined();
  });

  test('but not when the source does not show it', () => {
    expect(owner(WORLD, attachment('shop/unknown'))).toBeUndefined();
  });

  test('and a record of another identity neither gives the pod its address nor leaves it to it', () => {
    const { addresses } = view([record], { cluster: withPod('shop/web', { uid: 'u2' }) });
    expect(addresses).toEqual({ ...API, 'shop/web': ['fd00::1'] });
  });
});

test('a pod goes by its uid and, if it is static, by its hash', () => {
  const [web] = [...WORLD.pods.values()];
  const uids = (facts: Partial<Pod>) => (web === undefined ? undefined : uidsOf({ ...web, ...facts }));
  expect([uids({}), uids({ uid: 'u' }), uids({ uid: 'u', staticPodHash: 'h' })]).toEqual([[], ['u'], ['u', 'h']]);
});

describe('the pods that no record tells of', () => {
  test('are those of this node that have an address of their own', () => {
    expect(view([]).unrecorded).toEqual(['shop/web']);
    expect(view([attachment('shop/web', { addresses: ['10.0.0.1'] })]).unrecorded).toEqual([]);
  });

  test.for<{ why: string; cluster: Cluster }>([
    { why: 'it has ended', cluster: withPod('shop/web', { phase: 'Succeeded' }) },
    { why: 'it has its node’s address', cluster: withPod('shop/web', { hostNetwork: true }) },
    { why: 'it is on another node', cluster: withPod('shop/web', { nodeName: 'node-2' }) },
  ])('leave a pod out when $why', ({ cluster }) => {
    expect(view([], { cluster }).unrecorded).toEqual([]);
  });

  test('leave a detached pod out, and one all of whose addresses are another’s by record', () => {
    expect(view([], { detached: ['shop/web'] }).unrecorded).toEqual([]);
    const heir = attachment('shop/new', { addresses: ['10.0.0.1', 'fd00::1'] });
    expect(view([heir]).unrecorded).toEqual([]);
  });
});
