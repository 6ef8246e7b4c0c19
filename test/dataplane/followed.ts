import fc from 'fast-check';
import type { Applied, Kernel } from '../../src/dataplane/kernel.ts';
import { changesBetween, NO_OBJECTS, type Cluster } from '../../src/kube/cluster.ts';
import { Compilation } from '../../src/policy/compile.ts';
import { DEFAULT_MARK_MASK, generationMark } from '../../src/rules/mark.ts';
import type { AttachedPod, PodHooks } from '../../src/rules/pod.ts';
import { wantedPolicy, type WantedPolicy } from '../../src/rules/wanted.ts';
import { clusterManifests } from '../helpers/arbitraries.ts';
import { clusterOf, type Manifest } from '../helpers/manifests.ts';
import { hooksOf } from '../rules/nftables/nodeStates.ts';

/** One state of a node, and what happens before it is applied. */
export interface Step {
  readonly manifests: readonly Manifest[];
  /** For each pod whether it is attached, and how. */
  readonly ports: readonly ('none' | 'bridged' | 'routed' | 'not attached')[];
  readonly event: 'nothing' | 'skipped' | 'quick look' | 'thorough look' | 'failure' | 'damage';
  /** What is damaged. */
  readonly pick: number;
}

const MOST_PODS = 20;
const port = fc.constantFrom('none', 'bridged', 'bridged', 'routed', 'not attached');

/** States of one node, one after the other, that have most of their objects in common. */
export const stepLists: fc.Arbitrary<readonly Step[]> = fc
  .tuple(clusterManifests, clusterManifests, fc.array(port, { minLength: MOST_PODS, maxLength: MOST_PODS }))
  .chain(([first, second, ports]) =>
    fc.array(
      fc.record({
        manifests: fc.subarray([...first, ...second]),
        ports: fc.constant(ports),
        event: fc.constantFrom(
          'nothing',
          'nothing',
          'nothing',
          'skipped',
          'quick look',
          'thorough look',
          'failure',
          'damage',
        ),
        pick: fc.nat(),
      }),
      { minLength: 2, maxLength: 7 },
    ),
  );

export interface State {
  readonly policy: WantedPolicy;
  readonly pods: readonly (AttachedPod & { readonly judgements: NonNullable<AttachedPod['judgements']> })[];
}

/** Follows the steps as an agent does: what is the same is the same object. */
class Follower {
  readonly #compilation = new Compilation('node-1');
  readonly #objects = new Map<Manifest, Cluster>();
  readonly #hooks = new Map<string, PodHooks>();
  #cluster = NO_OBJECTS;

  next({ manifests, ports }: Step): State {
    const before = this.#cluster;
    const parts = manifests.map((manifest) => this.#objectOf(manifest));
    this.#cluster = {
      namespaces: new Map(parts.flatMap(({ namespaces }) => [...namespaces])),
      pods: new Map(parts.flatMap(({ pods }) => [...pods])),
      policies: new Map(parts.flatMap(({ policies }) => [...policies])),
    };
    const policy = wantedPolicy(this.#compilation.update(this.#cluster, changesBetween(before, this.#cluster)));
    const pods = [...policy.judgements].flatMap(([key, judgements], index) => {
      const addresses = this.#cluster.pods.get(key)?.addresses ?? [];
      const kind = ports[index] ?? 'none';
      if (kind === 'not attached' || addresses.length === 0) return [];
      return [{ hooks: this.#hooksOf(key, { addresses, port: kind }), judgements }];
    });
    return { policy, pods };
  }

  #objectOf(manifest: Manifest): Cluster {
    const known = this.#objects.get(manifest) ?? clusterOf([manifest]);
    this.#objects.set(manifest, known);
    return known;
  }

  #hooksOf(key: string, how: Parameters<typeof hooksOf>[1]): PodHooks {
    const id = JSON.stringify([key, how]);
    const known = this.#hooks.get(id) ?? hooksOf(key, how);
    this.#hooks.set(id, known);
    return known;
  }
}

/** A backend under test over programs that are played. */
export interface Node {
  readonly kernel: Kernel;
  /** Makes the next write fail; returns what makes writes succeed again. */
  readonly fail: () => () => void;
  /** Changes something of ours as somebody else would. */
  readonly damage: (pick: number) => void;
  /** Compares what the kernel holds with what one would that was brought to the state from nothing. */
  readonly expectState: (state: State) => void;
}

let generation = 0;

/** Brings a node through all steps. */
export async function follow(steps: readonly Step[], { kernel, fail, damage, expectState }: Node): Promise<Applied[]> {
  const follower = new Follower();
  const again: Applied[] = [];
  const read = (thorough: boolean) => kernel.read({ thorough, leaving: new Set() });
  const apply = ({ policy, pods }: State) =>
    kernel.apply({
      policy,
      pods,
      leaving: new Set(),
      unsettled: [],
      claimMark: () => generationMark((generation += 1), DEFAULT_MARK_MASK),
    });
  await read(true);
  for (const step of steps) {
    const state = follower.next(step);
    if (step.event === 'skipped') continue;
    if (step.event === 'damage') damage(step.pick);
    if (step.event === 'failure') {
      const succeed = fail();
      await apply(state).catch(() => undefined);
      succeed();
    }
    if (step.event !== 'nothing') await read(step.event !== 'quick look');
    await apply(state);
    expectState(state);
    again.push(await apply(state));
  }
  return again;
}
