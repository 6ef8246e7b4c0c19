import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ClusterChanges } from '../../../src/kube/cluster.ts';
import { apiServerSource } from '../../../src/source/api/apiServerSource.ts';
import { configMapOf } from '../../../src/source/api/nodeAddresses.ts';
import type { Source, SourceState } from '../../../src/source/source.ts';
import { ApiDouble, connectionTo, until, type LoggedRequest } from '../../helpers/apiDouble.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../../helpers/manifests.ts';

const POD_PATH = '/api/v1/namespaces/shop/pods/a';
const ALLOW_ALL = { podSelector: {}, ingress: [{}] };

const NOTHING: ClusterChanges = { namespaces: new Set(), pods: new Set(), policies: new Set() };

let api: ApiDouble;
let source: Source;
let states: SourceState[];

beforeEach(async () => {
  api = await ApiDouble.start();
  states = [];
});
afterEach(async () => {
  await source.stop();
  await api.close();
});

async function start({
  shareAddresses = false,
  pods = 'needed',
}: { readonly shareAddresses?: boolean; readonly pods?: 'all' | 'needed' } = {}): Promise<void> {
  const connection = connectionTo(api);
  source = apiServerSource({ connection, nodeName: 'node-1', pods, shareAddresses, warn: () => {} });
  await source.start(() => states.push(source.state()));
}

async function synced(options?: Parameters<typeof start>[0]): Promise<SourceState> {
  await start(options);
  await until(() => source.state().inSync && api.watches() >= 3);
  return source.state();
}

/** Returns a pod with a uid, as the API server has it. */
function podWith(key: string, { uid, ...facts }: Parameters<typeof pod>[1] & { readonly uid: string }): Manifest {
  const manifest = pod(key, facts);
  return { ...manifest, metadata: { ...(manifest['metadata'] as object), uid } };
}

function addressesOf(key: string): readonly string[] | undefined {
  return source.state().cluster.pods.get(key)?.addresses;
}

describe('in sync', () => {
  test('are namespaces, pods and policies, once all three were listed', async () => {
    const manifests = [
      namespace('shop', { team: 'red' }),
      podWith('shop/a', { uid: 'uid-a' }),
      policy('shop/p', ALLOW_ALL),
    ];
    for (const manifest of manifests) api.put(manifest);
    const late = '/apis/networking.k8s.io/v1/networkpolicies';
    let isReady = false;
    api.refuse = ({ path }) => (path === late && !isReady ? { code: 503, message: 'not yet' } : undefined);
    await start();
    await until(() => source.state().cluster.pods.size === 1 && source.state().cluster.namespaces.size === 1);
    await until(() => source.state().away !== undefined);
    expect(source.state()).toMatchObject({ inSync: false, problems: [], away: { reason: '503 not yet' } });
    isReady = true;
    await until(() => source.state().inSync);
    expect(source.state()).toEqual({ inSync: true, problems: [], away: undefined, cluster: clusterOf(manifests) });
  });

  test('is an empty cluster too', async () => {
    expect(await synced()).toEqual({ inSync: true, problems: [], away: undefined, cluster: clusterOf([]) });
  });

  test('is what it was while the server is away', async () => {
    api.put(namespace('shop'));
    const { cluster } = await synced();
    await api.close();
    await until(() => source.state().away !== undefined);
    const since = source.state().away?.since;
    expect(source.state()).toMatchObject({ inSync: true, away: { reason: expect.stringContaining('') as string } });
    await until(() => source.state().away?.reason.includes('ECONNREFUSED') === true);
    expect(source.state().away?.since).toBe(since);
    expect(source.state().cluster).toBe(cluster);
    await api.open();
    await until(() => source.state().away === undefined);
    expect(source.state().cluster).toBe(cluster);
    expect(since).toBe(new Date(since ?? '').toISOString());
  });

  test('is away since the first of three could not be followed', async () => {
    await synced();
    // A watch that ends sooner than after a second is a failure.
    await pause(1000);
    let isAway = ({ path }: LoggedRequest) => path.endsWith('networkpolicies');
    api.refuse = (request) => (isAway(request) ? { code: 503, message: request.path } : undefined);
    api.cut();
    await until(() => source.state().away !== undefined && api.watches() === 2);
    const { away } = source.state();
    expect(away?.reason).toBe('503 /apis/networking.k8s.io/v1/networkpolicies');
    isAway = () => true;
    api.cut();
    const { length } = api.log;
    await until(() =>
      ['namespaces', 'pods'].every((kind) => api.log.slice(length).some(({ path }) => path.endsWith(kind))),
    );
    await turn();
    expect(source.state().away).toEqual(away);
  });
});

describe('a change', () => {
  test('of what nobody reads is none', async () => {
    api.put(podWith('shop/a', { uid: 'uid-a', addresses: ['10.0.0.1'] }));
    const before = await synced();
    const { length } = states;
    const changed = podWith('shop/a', { uid: 'uid-a', addresses: ['10.0.0.1'] });
    api.put({ ...changed, metadata: { ...(changed['metadata'] as object), annotations: { note: 'new' } } });
    await source.refresh();
    expect(source.state()).toBe(before);
    expect(states).toHaveLength(length);
  });

  test('replaces what it changes, leaves every other object as it is, and is named', async () => {
    for (const name of ['a', 'b']) api.put(podWith(`shop/${name}`, { uid: `uid-${name}` }));
    api.put(namespace('shop'));
    const { cluster } = await synced();
    expect(source.takeChanges()).toEqual({
      namespaces: new Set(['shop']),
      pods: new Set(['shop/a', 'shop/b']),
      policies: new Set(),
    });
    expect(source.takeChanges()).toEqual(NOTHING);
    const [a, b] = ['shop/a', 'shop/b'].map((key) => cluster.pods.get(key));
    api.put(podWith('shop/a', { uid: 'uid-a', labels: { app: 'x' } }));
    await until(() => cluster.pods.get('shop/a') !== a);
    expect(source.state().cluster).toBe(cluster);
    expect(cluster.pods.get('shop/a')?.labels).toEqual(new Map([['app', 'x']]));
    expect(a?.labels).toEqual(new Map());
    expect(cluster.pods.get('shop/b')).toBe(b);
    expect(source.takeChanges()).toEqual({ ...NOTHING, pods: new Set(['shop/a']) });
  });

  test('does not show before it is told', async () => {
    api.put(podWith('shop/a', { uid: 'uid-a' }));
    const { cluster } = await synced();
    await until(() => states.at(-1)?.inSync === true);
    for (let index = 0; index < 20; index += 1) {
      const before = cluster.pods.get('shop/a');
      const { length } = states;
      api.put(podWith('shop/a', { uid: 'uid-a', labels: { turn: `${index}` } }));
      await until(() => states.length > length || cluster.pods.get('shop/a') !== before);
      expect(states.length > length).toBe(cluster.pods.get('shop/a') !== before);
    }
  });

  test('is told at once, and many in a few states', async () => {
    await synced();
    const { length } = states;
    const started = performance.now();
    for (let index = 0; index < 200; index += 1) {
      api.put(pod(`shop/p-${index}`, {}));
      await turn();
    }
    await until(() => source.state().cluster.pods.size === 200);
    expect(states.length - length).toBeLessThan(2 + (performance.now() - started) / 20);
  });
});

describe('what cannot be read', () => {
  test('is a problem until it can, and a policy closes meanwhile', async () => {
    api.put(policy('shop/p', ALLOW_ALL));
    await synced();
    api.put(policy('shop/p', { podSelector: {}, policyTypes: ['Ingress'], ingress: [{ unknown: [] }] }));
    await until(() => source.state().problems.length > 0);
    expect(source.state().problems.map(({ where }) => where)).toEqual(['NetworkPolicy shop/p']);
    expect(source.state().cluster.policies.get('shop/p')).toMatchObject({ ingress: [], egress: undefined });
    api.put(policy('shop/p', ALLOW_ALL));
    await until(() => source.state().problems.length === 0);
    expect(source.state().cluster).toEqual(clusterOf([policy('shop/p', ALLOW_ALL)]));
  });

  test('is no pod', async () => {
    api.put(pod('shop/a', {}));
    await synced();
    api.put(pod('shop/a', { phase: 'Dreaming' }));
    await until(() => source.state().problems.length > 0);
    expect(source.state().cluster.pods.size).toBe(0);
    api.delete('Pod', 'shop/a');
    await until(() => source.state().problems.length === 0);
  });
});

describe('refresh', () => {
  test('resolves with what the server held', async () => {
    await synced();
    api.hold();
    api.put(namespace('shop'));
    api.put(policy('shop/p', ALLOW_ALL));
    api.put(pod('shop/a', {}));
    await source.refresh();
    expect(source.state().cluster).toEqual(clusterOf(api.objects));
    expect(states.at(-1)).toBe(source.state());
  });

  test('waits for the server, and rejects when the source is stopped before', async () => {
    await synced();
    await api.close();
    const reason = 'Cannot list what the API server holds';
    await Promise.all([expect(source.refresh()).rejects.toThrow(reason), source.stop()]);
  });
});

describe('a pod that is looked for', () => {
  test('is there before the watch tells of it', async () => {
    await synced();
    api.hold();
    api.put(podWith('shop/a', { uid: 'uid-a' }));
    source.lookFor?.({ namespace: 'shop', name: 'a' });
    await until(() => source.state().cluster.pods.has('shop/a'));
    expect(source.state().cluster).toEqual(clusterOf(api.objects));
  });

  test('is asked for no more than once at a time, and others beside it', async () => {
    await synced();
    for (const name of ['a', 'a', 'b', 'a']) source.lookFor?.({ namespace: 'shop', name });
    await until(() => api.log.filter(({ verb }) => verb === 'GET').length === 2);
    await source.refresh();
    expect(api.verbs(POD_PATH)).toEqual(['GET']);
    await until(() => {
      source.lookFor?.({ namespace: 'shop', name: 'a' });
      return api.verbs(POD_PATH).length === 2;
    });
  });

  test('has a name that a pod can have', async () => {
    await synced();
    const names = [
      { namespace: 'shop', name: '../a' },
      { namespace: 'shop/pods', name: 'a' },
      { namespace: '..', name: 'a' },
      { namespace: 'shop', name: 'a?watch=true' },
      { namespace: '', name: 'a' },
      { namespace: 'shop', name: '' },
    ];
    for (const name of names) source.lookFor?.(name);
    await source.refresh();
    expect(api.log.filter(({ verb }) => verb === 'GET')).toEqual([]);
  });

  test('may be gone', async () => {
    api.put(pod('shop/a', {}));
    await synced();
    const before = source.state();
    api.hold();
    api.delete('Pod', 'shop/a');
    source.lookFor?.({ namespace: 'shop', name: 'a' });
    await until(() => api.verbs(POD_PATH).length === 1);
    expect(source.state()).toBe(before);
  });

  test('by the hundred fills no list of listeners', async () => {
    const warnings: string[] = [];
    const note = (warning: Error) => warnings.push(warning.message);
    process.on('warning', note);
    await synced();
    for (let index = 0; index < 100; index += 1) source.lookFor?.({ namespace: 'shop', name: `p-${index}` });
    await until(() => api.log.filter(({ verb }) => verb === 'GET').length === 100);
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });
});

describe("nodes' addresses", () => {
  beforeEach(() => {
    api.put(namespace('kube-nwplcy'));
    api.put(podWith('shop/here', { uid: 'uid-here' }));
    api.put(podWith('shop/there', { uid: 'uid-there', nodeName: 'node-2' }));
    api.put(podWith('shop/other', { uid: 'uid-other', nodeName: 'node-2', addresses: ['10.0.2.2'] }));
  });

  const tells = (address: string) =>
    configMapOf({ nodeName: 'node-2', addresses: new Map([['uid-there', [address]]]) });

  test('that another tells are those of its pods, and every other pod stays as it is', async () => {
    await synced({ shareAddresses: true, pods: 'all' });
    const other = source.state().cluster.pods.get('shop/other');
    api.put(tells('10.0.2.1'));
    await until(() => addressesOf('shop/there')?.join() === '10.0.2.1');
    const there = source.state().cluster.pods.get('shop/there');
    expect(source.state().cluster.pods.get('shop/other')).toBe(other);
    // Nothing about it changes when something else does.
    api.put(podWith('shop/new', { uid: 'uid-new' }));
    await until(() => source.state().cluster.pods.has('shop/new'));
    expect(source.state().cluster.pods.get('shop/there')).toBe(there);
    api.delete('ConfigMap', 'kube-nwplcy/node-2');
    await until(() => addressesOf('shop/there')?.length === 0);
  });

  test('of this node are told until the API shows them, and this node believes the API', async () => {
    await synced({ shareAddresses: true, pods: 'all' });
    source.shareAddresses?.(new Map([['uid-here', ['10.0.1.1']]]));
    const told = () => api.objects.find(({ kind }) => kind === 'ConfigMap')?.['data'];
    await until(() => told() !== undefined);
    expect(told()).toEqual({ 'uid-here': '10.0.1.1' });
    await source.refresh();
    expect(addressesOf('shop/here')).toEqual([]);
    api.put(podWith('shop/here', { uid: 'uid-here', addresses: ['10.0.1.1'] }));
    await until(() => addressesOf('shop/here')?.length === 1);
    source.shareAddresses?.(
      new Map([
        ['uid-here', ['10.0.1.1']],
        ['uid-there', ['10.0.1.2']],
      ]),
    );
    await until(() => JSON.stringify(told()) === '{"uid-there":"10.0.1.2"}');
  });

  test('are nothing where nobody wants them', async () => {
    api.put(tells('10.0.2.1'));
    await synced({ pods: 'all' });
    source.shareAddresses?.(new Map([['uid-here', ['10.0.1.1']]]));
    await source.refresh();
    expect(addressesOf('shop/there')).toEqual([]);
    expect(api.log.filter(({ path }) => path.includes('configmaps'))).toEqual([]);
  });

  test('do not matter to whether all is in sync and well', async () => {
    api.refuse = ({ path }) => (path.includes('configmaps') ? { code: 403, message: 'forbidden' } : undefined);
    await start({ shareAddresses: true });
    await until(() => source.state().inSync);
    expect(source.state().away).toBeUndefined();
  });
});

test('stop is the end of changes, those too that were not told yet', async () => {
  await synced();
  for (const name of ['a', 'b']) {
    api.put(namespace(name));
    for (let turns = 0; turns < 5; turns += 1) await turn();
  }
  await source.stop();
  const { length } = states;
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(states).toHaveLength(length);
});

test('stop leaves nothing behind', async () => {
  const resources = () => process.getActiveResourcesInfo().filter((one) => one.startsWith('TCP') || one === 'Timeout');
  await until(() => !resources().includes('TCPSocketWrap'));
  const before = resources().length;
  api.put(namespace('kube-nwplcy'));
  await synced({ shareAddresses: true, pods: 'all' });
  source.shareAddresses?.(new Map([['uid-a', ['10.0.0.1']]]));
  source.lookFor?.({ namespace: 'shop', name: 'a' });
  api.put(namespace('shop'));
  await source.stop();
  const { length } = states;
  await until(() => resources().length <= before);
  expect(states).toHaveLength(length);
});

/** Lets what is there to be read be read. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
