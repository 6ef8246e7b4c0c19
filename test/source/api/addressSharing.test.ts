import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Pod } from '../../../src/kube/pod.ts';
import { AddressSharing } from '../../../src/source/api/addressSharing.ts';
import { configMapOf } from '../../../src/source/api/nodeAddresses.ts';
import { ApiDouble, connectionTo, until, type LoggedRequest } from '../../helpers/apiDouble.ts';
import { clusterOf, namespace, pod, type Manifest } from '../../helpers/manifests.ts';

let api: ApiDouble;
let sharing: AddressSharing;
let warnings: string[];
let changes: number;

beforeEach(async () => {
  api = await ApiDouble.start();
  warnings = [];
  changes = 0;
  sharing = new AddressSharing({
    connection: connectionTo(api),
    nodeName: 'node-1',
    onChange: () => (changes += 1),
    warn: (message) => warnings.push(message),
  });
});
afterEach(async () => {
  await sharing.stop();
  await api.close();
  vi.useRealTimers();
});

/** What a node tells, as its object has it. */
function told(nodeName: string, data: Readonly<Record<string, string>>): Manifest {
  const addresses = new Map(Object.entries(data).map(([uid, text]) => [uid, text.split(',')]));
  return configMapOf({ nodeName, addresses });
}

function own(...uids: readonly string[]): ReadonlyMap<string, readonly string[]> {
  return new Map(uids.map((uid) => [uid, [addressOf(uid)]]));
}

/** Returns pods as the API shows them with their addresses. */
function shown(...uids: readonly string[]): ReadonlyMap<string, Pod> {
  const { pods } = clusterOf(uids.map((uid) => pod(`shop/${uid}`, { addresses: [addressOf(uid)] })));
  return new Map(Array.from(pods.values(), (one) => [one.name, one]));
}

function addressOf(uid: string): string {
  return `10.0.0.${uid.slice('uid-'.length)}`;
}

/** The uids in each object that was written, with the request's method. */
function written(): readonly string[] {
  return api.log.filter(isWrite).map(({ verb, body }) => {
    const data = (body?.['data'] ?? {}) as Readonly<Record<string, string>>;
    return [verb, body?.['kind'] === 'Namespace' ? 'namespace' : '', ...Object.keys(data)].filter(Boolean).join(' ');
  });
}

function isWrite({ verb }: LoggedRequest): boolean {
  return verb === 'PUT' || verb === 'POST';
}

function isTold(data: Readonly<Record<string, string>>): boolean {
  const object = api.objects.find(({ kind }) => kind === 'ConfigMap');
  return JSON.stringify(object?.['data']) === JSON.stringify(data);
}

/** Long enough for whatever is due at once to be sent and answered: as long as the answers to three other requests take. */
async function settled(): Promise<void> {
  const connection = connectionTo(api);
  for (const _ of [1, 2, 3])
    await connection.json({ path: '/api/v1/pods', silenceMs: 1000, signal: new AbortController().signal });
}

/** Lets the pause that follows a write pass, while timers stand still. */
async function pauseAfterWrite(): Promise<void> {
  await until(() => vi.getTimerCount() === 1 && api.log.some(isWrite));
  await settled();
  await vi.advanceTimersByTimeAsync(100);
}

describe('the first address', () => {
  test('is told at once, where there is an object', async () => {
    api.put(namespace('kube-nwplcy'));
    api.put(told('node-1', {}));
    sharing.start();
    sharing.see(new Map());
    sharing.share(own('uid-1'));
    await until(() => isTold({ 'uid-1': '10.0.0.1' }));
    expect(written()).toEqual(['PUT uid-1']);
    expect(api.objects.find(({ kind }) => kind === 'ConfigMap')).toMatchObject(told('node-1', { 'uid-1': '10.0.0.1' }));
    expect(warnings).toEqual([]);
  });

  test('makes the object, and before it the namespace, once', async () => {
    sharing.share(own('uid-1'));
    await until(() => isTold({ 'uid-1': '10.0.0.1' }));
    sharing.share(own('uid-1', 'uid-2'));
    await until(() => isTold({ 'uid-1': '10.0.0.1', 'uid-2': '10.0.0.2' }));
    expect(written()).toEqual(['PUT uid-1', 'POST uid-1', 'POST namespace', 'POST uid-1', 'PUT uid-1 uid-2']);
    expect(warnings).toEqual([]);
  });

  test('is told though another node made the namespace meanwhile', async () => {
    api.onRequest = ({ path }) => path === '/api/v1/namespaces' && api.put(namespace('kube-nwplcy'));
    sharing.share(own('uid-1'));
    await until(() => isTold({ 'uid-1': '10.0.0.1' }));
    expect(warnings).toEqual([]);
  });

  test('is told at once though another is about to go', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    sharing.share(own('uid-1'));
    await pauseAfterWrite();
    sharing.see(shown('uid-1'));
    await vi.advanceTimersByTimeAsync(2000);
    sharing.share(own('uid-1', 'uid-2'));
    await settled();
    expect(isTold({ 'uid-2': '10.0.0.2' })).toBe(true);
  });
});

describe('what is told', () => {
  beforeEach(() => {
    api.put(namespace('kube-nwplcy'));
    api.put(told('node-1', {}));
  });

  test('of pods that start together is told together after the first', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    sharing.share(own('uid-1'));
    await until(() => isTold({ 'uid-1': '10.0.0.1' }));
    for (const uids of [['uid-2'], ['uid-2', 'uid-3']]) {
      sharing.share(own('uid-1', ...uids));
      await settled();
    }
    await vi.advanceTimersByTimeAsync(99);
    await settled();
    expect(written()).toEqual(['PUT uid-1']);
    await vi.advanceTimersByTimeAsync(1);
    await until(() => written().length === 2);
    expect(written()).toEqual(['PUT uid-1', 'PUT uid-1 uid-2 uid-3']);
  });

  test('is not what the API shows, nor what has no uid that an object can hold', async () => {
    sharing.see(shown('uid-1'));
    sharing.share(new Map([...own('uid-1', 'uid-2'), ['no uid!', ['10.0.0.9']], ['', ['10.0.0.8']]]));
    await until(() => isTold({ 'uid-2': '10.0.0.2' }));
    expect(written()).toEqual(['PUT uid-2']);
  });

  test('is told of a pod that the API shows with another address', async () => {
    sharing.see(new Map([['uid-1', { ...(shown('uid-1').get('uid-1') as Pod), addresses: ['10.0.0.9'] }]]));
    sharing.share(own('uid-1'));
    await until(() => isTold({ 'uid-1': '10.0.0.1' }));
    expect(written()).toEqual(['PUT uid-1']);
  });

  test('goes with the next one once the API shows it', async () => {
    sharing.share(own('uid-1'));
    await until(() => isTold({ 'uid-1': '10.0.0.1' }));
    sharing.see(shown('uid-1'));
    sharing.share(own('uid-1', 'uid-2'));
    await until(() => isTold({ 'uid-2': '10.0.0.2' }));
    expect(written()).toEqual(['PUT uid-1', 'PUT uid-2']);
  });

  test('goes by itself after a while', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    sharing.share(own('uid-1'));
    await pauseAfterWrite();
    sharing.see(shown('uid-1'));
    await vi.advanceTimersByTimeAsync(4999);
    await settled();
    expect(written()).toEqual(['PUT uid-1']);
    await vi.advanceTimersByTimeAsync(1);
    await until(() => isTold({}));
    expect(written()).toEqual(['PUT uid-1', 'PUT']);
  });

  test('is not written again while it is the same', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    sharing.share(own('uid-1'));
    await pauseAfterWrite();
    for (const _ of [1, 2, 3]) {
      sharing.share(own('uid-1'));
      sharing.see(new Map());
    }
    // Shown and not shown again, before anything was written of it.
    sharing.see(shown('uid-1'));
    sharing.see(new Map());
    await vi.advanceTimersByTimeAsync(60_000);
    await settled();
    expect(written()).toEqual(['PUT uid-1']);
  });

  test('of an earlier life of the agent stays until it is known what is true, and then goes', async () => {
    api.put(told('node-1', { 'uid-1': '10.0.0.1', 'uid-2': '10.0.0.2' }));
    sharing.start();
    sharing.see(new Map());
    await settled();
    expect(written()).toEqual([]);
    sharing.share(own('uid-1'));
    await until(() => isTold({ 'uid-1': '10.0.0.1' }));
    expect(written()).toEqual(['PUT uid-1']);
  });
});

test('an agent that has nothing to tell makes no object', async () => {
  sharing.share(new Map());
  await until(() => written().length === 1);
  await settled();
  expect(written()).toEqual(['PUT']);
});

describe('what cannot be written', () => {
  test('is told of once where it is not permitted, and tried again a minute later', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    api.refuse = (request) => (isWrite(request) ? { code: 403, message: 'configmaps is forbidden' } : undefined);
    sharing.share(own('uid-1'));
    await until(() => warnings.length > 0);
    for (const uid of ['uid-2', 'uid-3']) sharing.share(own(uid));
    await vi.advanceTimersByTimeAsync(59_999);
    await settled();
    expect(written()).toEqual(['PUT uid-1']);
    await vi.advanceTimersByTimeAsync(1);
    await until(() => written().length === 2);
    await settled();
    expect(warnings).toEqual([
      'Cannot tell other nodes of new pods\' addresses: 403 configmaps is forbidden; see "--no-share-addresses"',
    ]);
  });

  test('is written a second later, with what came meanwhile', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    api.put(namespace('kube-nwplcy'));
    api.put(told('node-1', {}));
    let refusals = 1;
    api.refuse = (request) => (isWrite(request) && (refusals -= 1) >= 0 ? { code: 503, message: 'busy' } : undefined);
    sharing.share(own('uid-1'));
    await until(() => warnings.length > 0);
    sharing.share(own('uid-1', 'uid-2'));
    await vi.advanceTimersByTimeAsync(1000);
    await until(() => isTold({ 'uid-1': '10.0.0.1', 'uid-2': '10.0.0.2' }));
    expect(warnings).toHaveLength(1);
  });
});

describe('what other nodes tell', () => {
  test('is known, and this node does not hear itself', async () => {
    api.put(namespace('kube-nwplcy'));
    for (const name of ['node-1', 'node-2']) api.put(told(name, { [`uid-of-${name}`]: '10.0.0.1' }));
    api.put({ ...told('node-3', { 'uid-3': '10.0.0.3' }), metadata: { namespace: 'kube-nwplcy', name: 'node-3' } });
    api.put({ ...told('node-4', { 'uid-4': '10.0.0.4' }), metadata: { namespace: 'shop', name: 'node-4' } });
    sharing.start();
    await until(() => changes > 0);
    expect(sharing.takeChanged()).toEqual(new Set(['node-1', 'node-2']));
    expect(sharing.toldBy('node-2')).toEqual({
      nodeName: 'node-2',
      addresses: new Map([['uid-of-node-2', ['10.0.0.1']]]),
      version: expect.stringMatching(/^\d+$/),
    });
    for (const node of ['node-1', 'node-3', 'node-4', 'node-5']) expect(sharing.toldBy(node)).toBeUndefined();
    api.put(told('node-2', {}));
    await until(() => sharing.toldBy('node-2') === undefined);
    expect(sharing.takeChanged()).toEqual(new Set(['node-2']));
  });

  test('is asked for seldom where that is not permitted, and nobody is told', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    api.refuse = () => ({ code: 403, message: 'configmaps is forbidden' });
    sharing.start();
    await until(() => changes > 0);
    await vi.advanceTimersByTimeAsync(59_999);
    expect(api.log).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    await until(() => api.log.length === 2);
    expect(warnings).toEqual([]);
  });
});

test('stop waits for nothing that is under way', async () => {
  api.hangs = true;
  sharing.start();
  sharing.share(own('uid-1'));
  await until(() => api.log.length === 2);
  await sharing.stop();
  sharing.share(own('uid-2'));
  api.hangs = false;
  await settled();
  expect(warnings).toEqual([]);
  expect(written()).toEqual(['PUT uid-1']);
});
