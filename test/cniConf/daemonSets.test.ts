import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { agentCommand } from '../../src/cli/agent.ts';
import { cleanupCommand } from '../../src/cli/cleanup.ts';
import { installCommand } from '../../src/cli/install.ts';
import { DEFAULT_RUNTIME_DIR } from '../../src/rendezvous/runtimeDir.ts';
import { flannelPatch, manifestObjects, podSpec, type Container } from './manifests.ts';

const own = podSpec('kube-nwplcy.yaml');
const cleanup = podSpec('cleanup.yaml');
const inFlannel = flannelPatch();
const podSpecs = { 'kube-nwplcy.yaml': own, 'cleanup.yaml': cleanup, 'flannel/agent.yaml': inFlannel };
const containers = Object.entries(podSpecs).flatMap(([file, pod]) =>
  [...pod.initContainers, ...pod.containers].map((container) => ({ file, ...container })),
);

describe.for(containers)('container $name of $file', (container) => {
  test('its flags are flags of the product', () => {
    expect(invocations(container).flatMap(unknownArguments)).toEqual([]);
  });

  test('its image is of the version that is built', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly version: string };
    expect(container.image).toBe(`localhost/kube-nwplcy:${version}`);
  });

  test('it cannot gain privileges, nor write where it has no volume', () => {
    const { capabilities, seccompProfile, ...rest } = container.securityContext;
    expect(capabilities.drop).toEqual(['ALL']);
    expect(rest).toEqual({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true });
    // The pods of our own say it once for all containers.
    const seccomp = container.file === 'flannel/agent.yaml' ? { type: 'RuntimeDefault' } : undefined;
    expect(seccompProfile).toEqual(seccomp);
  });
});

test('only what needs a capability has it', () => {
  const added = containers.map(({ file, name, securityContext: { capabilities } }) => [file, name, capabilities.add]);
  expect(added).toEqual([
    ['kube-nwplcy.yaml', 'br-netfilter', ['SYS_MODULE']],
    ['kube-nwplcy.yaml', 'agent', ['NET_ADMIN', 'NET_RAW']],
    ['kube-nwplcy.yaml', 'install', undefined],
    ['cleanup.yaml', 'cleanup', ['NET_ADMIN', 'NET_RAW']],
    ['cleanup.yaml', 'done', undefined],
    ['flannel/agent.yaml', 'install-kube-nwplcy', ['SYS_MODULE']],
    ['flannel/agent.yaml', 'kube-nwplcy', ['NET_ADMIN', 'NET_RAW']],
  ]);
});

describe.for([
  { file: 'kube-nwplcy.yaml', pod: own },
  { file: 'cleanup.yaml', pod: cleanup },
])('the pod of $file', ({ pod }) => {
  test('runs on every Linux node, in its network, whatever else happens there', () => {
    expect(pod).toMatchObject({
      hostNetwork: true,
      priorityClassName: 'system-node-critical',
      nodeSelector: { 'kubernetes.io/os': 'linux' },
      tolerations: [{ operator: 'Exists' }],
      securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
    });
  });

  test('mounts every volume that it has, and no other', () => {
    const mounted = [...pod.initContainers, ...pod.containers].flatMap(({ volumeMounts = [] }) => volumeMounts);
    expect(new Set(mounted.map(({ name }) => name))).toEqual(new Set(pod.volumes.map(({ name }) => name)));
  });
});

test.for([...own.containers, ...inFlannel.containers].filter(({ livenessProbe }) => livenessProbe))(
  'the agent in $name is asked where it answers',
  ({ args, livenessProbe, readinessProbe }) => {
    const [address] = (args ?? []).flatMap((arg) => /^--metrics-addr=(.+)$/.exec(arg)?.[1] ?? []);
    const asked = [livenessProbe?.httpGet, readinessProbe?.httpGet].map(
      (get) => `${get?.host}:${get?.port}${get?.path}`,
    );
    expect(asked).toEqual([`${address}/healthz`, `${address}/readyz`]);
  },
);

test('plugin and agent meet in the same directory of the node', () => {
  const directory = { path: DEFAULT_RUNTIME_DIR, type: 'DirectoryOrCreate' };
  for (const pod of [own, inFlannel]) {
    const name = pod.volumes.find(({ hostPath }) => hostPath.path === DEFAULT_RUNTIME_DIR)?.name;
    expect(pod.volumes.find((volume) => volume.name === name)?.hostPath).toEqual(directory);
    const agent = pod.containers.find(isAgent);
    expect(agent?.volumeMounts).toContainEqual({ name, mountPath: DEFAULT_RUNTIME_DIR });
  }
});

test("the agent in flannel's pod is the agent of our own", () => {
  const [agent, inside] = [own.containers.find(isAgent), inFlannel.containers.find(isAgent)];
  const comparable = (container: Container | undefined, fields: object) => ({ ...container, ...fields });
  expect(comparable(inside, { name: '', volumeMounts: [] })).toEqual(
    comparable(agent, {
      name: '',
      volumeMounts: [],
      securityContext: { seccompProfile: { type: 'RuntimeDefault' }, ...agent?.securityContext },
    }),
  );
  const places = (container: Container | undefined) => container?.volumeMounts?.map(({ mountPath }) => mountPath);
  expect(places(inside)).toEqual(places(agent));
});

test("flannel's DaemonSet gets nothing else", () => {
  const { operations, initContainers, containers: added, volumes } = inFlannel;
  expect(operations).toHaveLength(initContainers.length + added.length + volumes.length);
  expect([initContainers.length, added.length]).toEqual([1, 1]);
});

test('the image that a kustomization replaces is that of the containers', () => {
  const [kustomization] = manifestObjects('flannel/kustomization.yaml');
  const [name, newTag] = own.containers[0]?.image.split(':') ?? [];
  expect(kustomization?.['images']).toEqual([{ name, newName: name, newTag }]);
});

function isAgent({ args }: Container): boolean {
  return args?.[0] === 'agent';
}

/** Returns the arguments of each call of the product that a container makes. */
function invocations({ args, readinessProbe }: Container): readonly (readonly string[])[] {
  const [program, ...probe] = readinessProbe?.exec?.command ?? [];
  return [...(args === undefined ? [] : [args]), ...(program === 'kube-nwplcy' ? [probe] : [])];
}

/** Returns the arguments that a command does not know. Throws what it says of values that it does not take. */
function unknownArguments([name, ...args]: readonly string[]): readonly string[] {
  const command = commands().find((each) => each.name() === name);
  if (command === undefined) throw new Error(`Cannot find the command "${name}"`);
  const quiet = command.exitOverride().configureOutput({ writeErr: () => undefined });
  const { operands, unknown } = quiet.parseOptions(args);
  return [...operands, ...unknown];
}

function commands(): readonly Command[] {
  const io = { stdout: ignore, stderr: ignore, exitCode: ignore, env: {}, executable: undefined };
  return [agentCommand(io), installCommand(io), cleanupCommand(io)];
}

function ignore(): void {}
