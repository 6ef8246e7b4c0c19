import { changesBetween, NO_OBJECTS, type Cluster } from '../kube/cluster.ts';
import { Compilation } from '../policy/compile.ts';
import type { NodePolicy } from '../policy/model.ts';
import { wantedPolicy, type WantedPolicy } from '../rules/wanted.ts';
import type { Source } from '../source/source.ts';
import type { Attachments } from './attachments.ts';
import type { AgentMetrics } from './metrics/agentMetrics.ts';
import { LocalPods, type LocalFacts, type LocalView } from './localPods.ts';

/** What follows from the objects and the attachments. */
export interface Answer {
  readonly view: LocalView;
  readonly compiled: NodePolicy;
  readonly policy: WantedPolicy;
}

export interface AnswersOptions {
  readonly nodeName: string;
  readonly source: Source;
  /** Where what changes is counted, if it is. */
  readonly metrics?: AgentMetrics;
}

/** Keeps the answer in step with the source and the attachments. */
export class Answers {
  readonly #nodeName: string;
  readonly #source: Source;
  readonly #metrics: AgentMetrics | undefined;
  /** `undefined` where an error may have left them half-way. */
  #followers: { readonly localPods: LocalPods; readonly compilation: Compilation } | undefined;
  #facts: LocalFacts = { attachments: [], detached: new Set() };
  #answer: Answer | undefined;

  constructor({ nodeName, source, metrics }: AnswersOptions) {
    this.#nodeName = nodeName;
    this.#source = source;
    this.#metrics = metrics;
  }

  /** What the answer was made from last; `undefined` before the first. */
  get localPods(): LocalPods | undefined {
    return this.#followers?.localPods;
  }

  /** Takes over what has changed. Returns the same object as before where the answer is the same. */
  now(attachments: Attachments): Answer {
    const { cluster } = this.#source.state();
    const taken = this.#source.takeChanges();
    this.#metrics?.source.changed(taken);
    const changes = this.#followers === undefined ? changesBetween(NO_OBJECTS, cluster) : taken;
    const followers = this.#followers ?? {
      localPods: new LocalPods(this.#nodeName),
      compilation: new Compilation(this.#nodeName),
    };
    this.#followers = undefined;
    const { localPods, compilation } = followers;
    const seen = localPods.update(cluster, { changes, facts: this.#factsOf(attachments, cluster) });
    const { view } = localPods;
    const compiled = compilation.update(view.cluster, seen);
    this.#followers = followers;
    const before = this.#answer;
    if (before?.view === view && before.compiled === compiled) return before;
    const policy = before?.compiled === compiled ? before.policy : wantedPolicy(compiled);
    return (this.#answer = { view, compiled, policy });
  }

  /** Returns the same object while the facts are the same. */
  #factsOf(attachments: Attachments, { pods }: Cluster): LocalFacts {
    const detached = attachments.detachedOf(pods);
    const before = this.#facts;
    const areSame =
      attachments.all() === before.attachments && detached.symmetricDifference(before.detached).size === 0;
    return areSame ? before : (this.#facts = { attachments: attachments.all(), detached: new Set(detached) });
  }
}
