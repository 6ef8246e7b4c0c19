import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ApiObject } from '../cluster/apiClient.ts';
import { ControlPlane } from '../cluster/controlPlane.ts';
import { policy } from '../kernel/cluster.ts';
import type { LabPod } from '../lab/pod.ts';
import { until } from '../runtime/containerd.ts';
import { IMAGE } from '../runtime/image.ts';
import { containerOutput, Kubelet } from '../runtime/kubelet.ts';
import { RuntimeNode } from '../runtime/runtimeNode.ts';
import { BOTH_CLOSED, BOTH_OPEN, bothWays, connecting } from '../runtime/traffic.ts';
import { kubeletKubeconfig } from './kubeletAccount.ts';
import { MODERN, MODERN_PLUGINS } from './modernPrograms.ts';

// An API server, the kubelet, and a containerd that calls plugins as version 1.1.0 of CNI has it, STATUS among the commands.

let at: RuntimeNode;
let api: ControlPlane;
let client: LabPod;
let idle: unknown;

beforeAll(async () => {
  const started = Promise.withResolvers<ControlPlane>();
  at = await RuntimeNode.start({
    cniVersion: '1.1.0',
    programs: MODERN,
    plugins: MODERN_PLUGINS,
    objects: async (site) => {
      const controlPlane = await ControlPlane.start(site);
      started.resolve(controlPlane);
      return controlPlane;
    },
  });
  api = await started.promise;
  for (const name of ['open', 'closed'])
    await api.admin.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  await api.admin.apply(policy('closed/deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }));
  client = await at.lab.node(2).addPod({ namespace: 'clients', name: 'client' });
  const kubelet = await Kubelet.start(at, { kubeconfig: await kubeletKubeconfig(at, api) });
  await kubelet.untilReady();
  await untilNode('True');
  idle = await at.remains();
});
afterAll(() => at[Symbol.dispose]());

test('a pod of the API is judged from its first packet on, and when it is gone nothing of it is left', async () => {
  const pods = await Promise.all(['open', 'closed'].map(async (namespace) => Pod.create(namespace, 'web')));
  for (const pod of pods)
    expect(await pod.bothWays({ since: 0 })).toEqual(pod.namespace === 'open' ? BOTH_OPEN : BOTH_CLOSED);
  for (const pod of pods) await pod.delete();
  expect(await at.remains()).toEqual(idle);
});

test('a policy that comes, changes and goes is in force on a pod that runs', async () => {
  const pod = await Pod.create('open', 'web');
  expect(await pod.bothWays()).toEqual(BOTH_OPEN);
  const spec = { podSelector: {}, policyTypes: ['Ingress', 'Egress'] };
  await api.admin.apply(policy('open/some', spec));
  await at.node.sync();
  expect(await pod.bothWays()).toEqual(BOTH_CLOSED);
  const peers = [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'clients' } } }];
  await api.admin.apply(policy('open/some', { ...spec, ingress: [{ from: peers }], egress: [{ to: peers }] }));
  await at.node.sync();
  expect(await pod.bothWays()).toEqual(BOTH_OPEN);
  await api.admin.delete(policy('open/some', spec));
  await at.node.sync();
  expect(await pod.bothWays()).toEqual(BOTH_OPEN);
  await pod.delete();
  expect(await at.remains()).toEqual(idle);
});

test('while the agent is away the node stays ready, what runs is protected, and a new pod is refused everything until it is back', async () => {
  const old = await Pod.create('closed', 'old');
  expect(await old.bothWays()).toEqual(BOTH_CLOSED);
  await at.agent.stop();
  const next = await Pod.create('open', 'next');
  expect(await next.bothWays()).toEqual(BOTH_CLOSED);
  // The runtime asks every five seconds, and the kubelet tells the API server within ten.
  await sleep(15_000);
  await untilNode('True');
  expect(await old.bothWays()).toEqual(BOTH_CLOSED);
  await at.startAgent();
  expect(await next.bothWays()).toEqual(BOTH_OPEN);
  for (const pod of [old, next]) await pod.delete();
  expect(await at.remains()).toEqual(idle);
});

test('a node on which no agent has been in sync yet is not ready', async () => {
  await at.agent.stop();
  rmSync(at.node.inside(`${at.node.runtimeDir}/synced`));
  expect(await untilNode('False')).toContain('Cannot connect new pods: no agent has been in sync on this node yet');
  await at.startAgent();
  await untilNode('True');
});

/** A Pod object bound to the node, which the kubelet runs: it listens, and connects to the client all the time. */
class Pod {
  readonly namespace: string;
  readonly name: string;
  readonly #object: ApiObject;

  private constructor(object: ApiObject) {
    this.namespace = object.metadata.namespace ?? '';
    this.name = object.metadata.name;
    this.#object = object;
  }

  static async create(namespace: string, name: string): Promise<Pod> {
    const container = { name: 'main', image: IMAGE, imagePullPolicy: 'Never', command: connecting(client.addresses) };
    const object = await api.admin.create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace, name },
      spec: {
        nodeName: at.node.name,
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 0,
        containers: [{ ...container, env: [{ name: 'NAME', value: name }] }],
      },
    });
    return new Pod(object);
  }

  /** Returns how it goes between the client and the pod, once the API server shows that it runs. */
  async bothWays(options: { readonly since?: number } = {}): Promise<readonly string[]> {
    await until('run', async () => (await this.#status()).phase === 'Running', 30_000);
    const addresses = (await this.#status()).podIPs.map(({ ip }) => ip);
    const { namespace, name } = this;
    const output = () => containerOutput(at.node, { namespace, name, uid: this.#object.metadata.uid });
    return bothWays(client, { addresses, output }, options);
  }

  /** Returns once its DEL has come too: the API server forgets a pod without grace at once. */
  async delete(): Promise<void> {
    await api.admin.delete(this.#object);
    await at.untilDetached(({ namespace, name }) => namespace === this.namespace && name === this.name);
  }

  async #status() {
    const { status } = (await api.admin.get(this.#object)) as unknown as {
      readonly status: { readonly phase: string; readonly podIPs: readonly { readonly ip: string }[] };
    };
    return status;
  }
}

/** Returns what the node says of its being ready, once that has this status. */
async function untilNode(wanted: 'True' | 'False'): Promise<string> {
  let message = '';
  await until(
    `be ready: ${wanted}`,
    async () => {
      const { status } = (await api.admin.get({
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: at.node.name },
      })) as unknown as {
        readonly status: {
          readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[];
        };
      };
      const ready = status.conditions?.find(({ type }) => type === 'Ready');
      message = ready?.message ?? '';
      return ready?.status === wanted;
    },
    60_000,
  );
  return message;
}
