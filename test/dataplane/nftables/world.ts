import { changesBetween, NO_OBJECTS, type Cluster } from '../../../src/kube/cluster.ts';
import { Compilation } from '../../../src/policy/compile.ts';
import { NftKernel } from '../../../src/dataplane/nftables/nftKernel.ts';
import type { Wanted } from '../../../src/dataplane/kernel.ts';
import { DEFAULT_MARK_MASK, generationMark, type Mark } from '../../../src/rules/mark.ts';
import { raiseCommands } from '../../../src/rules/nftables/generation.ts';
import { addPodCommands } from '../../../src/rules/nftables/podCommands.ts';
import { QUARANTINE, type PodHooks } from '../../../src/rules/pod.ts';
import { wantedPolicy, type WantedPolicy } from '../../../src/rules/wanted.ts';
import { FakeNft } from '../../helpers/fakeNft.ts';
import { settledBlocks } from '../../helpers/nftNode.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../../helpers/manifests.ts';
import { hooksOf } from '../../rules/nftables/nodeStates.ts';

const from = (app: string) => ({ from: [{ podSelector: { matchLabels: { app } } }] });
/** A policy that lets these apps in to the database. */
export const toDb = (...apps: readonly string[]) =>
  policy('shop/db', { podSelector: { matchLabels: { app: 'db' } }, ingress: apps.map(from) });
/** A client on another node. */
export const cli = (number: number) =>
  pod(`shop/cli${number}`, { labels: { app: 'cli' }, addresses: [`10.0.1.${number}`], nodeName: 'node-2' });
export const WORLD: readonly Manifest[] = [
  namespace('shop'),
  pod('shop/web', { labels: { app: 'web' }, addresses: ['10.0.0.1', 'fd00::1'] }),
  pod('shop/db', { labels: { app: 'db' }, addresses: ['10.0.0.2', 'fd00::2'] }),
];
export const WEB = hooksOf('shop/web', { addresses: ['10.0.0.1', 'fd00::1'], port: 'bridged' });
export const DB = hooksOf('shop/db', { addresses: ['10.0.0.2', 'fd00::2'], port: 'routed' });
export const THOROUGH = { thorough: true, leaving: new Set<string>() };
export const QUICK = { thorough: false, leaving: new Set<string>() };

let generation = 0;

/** Returns how many marks have been claimed so far. */
export function claimed(): number {
  return generation;
}

function claimMark(): Mark {
  generation += 1;
  return generationMark(generation, DEFAULT_MARK_MASK);
}

const compilation = new Compilation('node-1');
let known: Cluster = NO_OBJECTS;

/** As an agent does, each state is told as a change of the one before. */
function policyOf(manifests: readonly Manifest[]): WantedPolicy {
  const before = known;
  known = clusterOf(manifests);
  return wantedPolicy(compilation.update(known, changesBetween(before, known)));
}

/** Returns what a node should hold where these pods are attached, and the ADDs of others under way. */
export function wanted(
  manifests: readonly Manifest[],
  { attached = [WEB, DB], underWay = [], ...more }: Partial<Wanted> & Attached = {},
): Wanted {
  const policies = policyOf(manifests);
  const judged = attached.map((hooks) => ({
    hooks,
    judgements: policies.judgements.get(`shop/${hooks.name}`) ?? QUARANTINE,
  }));
  const pods = [...judged, ...underWay.map((hooks) => ({ hooks, judgements: undefined }))];
  return { policy: policies, pods, leaving: new Set(), unsettled: [], claimMark, ...more };
}
interface Attached {
  readonly attached?: readonly PodHooks[];
  readonly underWay?: readonly PodHooks[];
}

/** Returns what an ADD writes, by an nft of its own. */
export function addText(hooks: PodHooks): string {
  return [...addPodCommands(hooks, QUARANTINE), ...raiseCommands(claimMark())].join('\n');
}

/** Returns what a new agent would put into an empty kernel. */
export async function heldByAnother(want: Wanted): Promise<ReadonlyMap<string, string>> {
  const other = await FakeNft.start();
  const its = new NftKernel();
  await its.read(THOROUGH);
  await its.apply(want);
  other.stop();
  return settledBlocks(other.ruleset);
}
