import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import type { PodJudgements } from '../../src/rules/pod.ts';
import { PluginNode, type Answer, type Pod } from '../helpers/pluginNode.ts';
import { filesSnapshot, netfilterSnapshot } from '../lab/snapshot.ts';
import { IPTABLES_PROGRAMS, isNftables } from './backend.ts';
import type { PluginWorld } from './pluginWorld.ts';

// What the tests of the plugin have in common.

export const OPEN: PodJudgements = { ingress: { kind: 'open' }, egress: { kind: 'open' } };

export const POD: Pod = {
  containerId: 'c1',
  name: 'web',
  uid: 'u1',
  addresses: ['10.5.0.2', 'fd05::2'],
  link: 'veth1',
  bridged: true,
};
/** The same with IPv4 alone. */
export const PLAIN_POD: Pod = { ...POD, addresses: ['10.5.0.2'] };

/** Returns a node that is gone after the test. */
export async function startNode(): Promise<PluginNode> {
  const node = await PluginNode.start(isNftables ? { withoutPrograms: IPTABLES_PROGRAMS } : {});
  onTestFinished(() => node[Symbol.dispose]());
  return node;
}

/** Compares all that is ours, but for the values of generations. */
export async function expectPods(
  world: PluginWorld,
  node: PluginNode,
  ...held: Parameters<PluginWorld['holding']>
): Promise<void> {
  expect(await world.read(node)).toEqual(world.holding(...held));
}

/** Waits until something holds. */
export async function until(holds: () => boolean): Promise<void> {
  for (let looks = 0; !holds(); looks += 1) {
    if (looks > 1000) throw new Error(`Waited in vain for ${holds.toString()}`);
    await sleep(10);
  }
}

/** Returns the files about pods that are in runtimeDir. */
export function podFiles(node: PluginNode): readonly string[] {
  return Object.keys(filesSnapshot(node.runtimeDir)).filter((path) =>
    /^(attachments|hooked|acknowledged)\//.test(path),
  );
}

/** Returns everything in netfilter but what is ours by name. */
export async function foreign(node: PluginNode): Promise<unknown> {
  const ours = /^table (?:inet|bridge) kube-nwplcy \{\n(?:\t.*\n|\n)*\}\n|^\tchain (?:KUBE-)?NWPLCY[^}]*\}\n/gm;
  const snapshot = Object.entries(await netfilterSnapshot(node.run));
  return snapshot.map(([command, text]) => {
    const lines = text.replaceAll(ours, '').split('\n');
    return [command, lines.filter((line) => line !== '' && !line.includes('NWPLCY'))];
  });
}

/** Returns the code of a failure. */
export function codeOf({ exitCode, printed }: Answer): unknown {
  expect(exitCode).toBe(1);
  return printed?.['code'];
}
