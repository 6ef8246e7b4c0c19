import type { Cluster } from '../kube/cluster.ts';
import { isFinished, objectKey, type ContainerPort, type Pod } from '../kube/pod.ts';
import { PROTOCOLS, type Protocol } from '../net/protocol.ts';
import type { NetworkPolicy } from '../kube/networkPolicy.ts';
import { evaluate, type SideVerdict } from './evaluate.ts';
import { selectorMismatch } from './mismatch.ts';
import { podClasses } from './podClasses.ts';

export type Answer = 'allowed' | 'blocked';

/** What both ends say, and what comes of it. */
export interface Answers {
  /** Whether audit mode alone lets the flow pass at one end or both. */
  readonly audit?: true;
  readonly egress: Answer;
  readonly ingress: Answer;
  readonly verdict: Answer;
}

/** Whether one pod reaches another, by key, at one port of the other's. */
export interface Cell extends Answers {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly portName: string | null;
  readonly protocol: Protocol;
}

/** A port that is asked for; its name is the one that the pod gave it, if any. */
export interface AskedPort extends ContainerPort {
  readonly portName: string | null;
}

export interface MatrixOptions {
  /** Asked for at every pod, beside its container ports. */
  readonly ports?: readonly ContainerPort[];
  /** The only port to ask for, where a pod has it. */
  readonly only?: ContainerPort | undefined;
  /** The namespaces to which both pods must belong; all if empty or missing. */
  readonly namespaces?: readonly string[];
}

/** Pods of one namespace that policies cannot tell apart and that are asked at the same ports. */
export interface PodGroup {
  readonly namespace: string;
  readonly pods: readonly [Pod, ...Pod[]];
  readonly ports: readonly AskedPort[];
}

/** Returns who reaches whom: every pair of the cluster's pods, one with itself included, at every port. Pods that have ended are left out. */
export function matrix(cluster: Cluster, options: MatrixOptions = {}): Matrix {
  return new Matrix(cluster, options);
}

/** Verdicts by `evaluate`, worked out when asked for, and once for all pods that are alike. */
export class Matrix {
  /** In the order of their keys. */
  readonly pods: readonly Pod[];
  readonly #options: MatrixOptions;
  readonly #ports = new Map<Pod, readonly AskedPort[]>();
  readonly #verdicts: Verdicts;

  constructor(cluster: Cluster, options: MatrixOptions) {
    const { namespaces = [] } = options;
    this.#options = options;
    this.pods = [...cluster.pods.values()]
      .filter((pod) => !isFinished(pod) && (namespaces.length === 0 || namespaces.includes(pod.namespace)))
      .toSorted(byKey);
    this.#verdicts = new Verdicts(cluster, this.pods);
  }

  /** Returns the ports at which a pod is asked, in order. */
  portsOf(pod: Pod): readonly AskedPort[] {
    const seen = this.#ports.get(pod);
    if (seen !== undefined) return seen;
    const made = portsOf(pod, this.#options);
    this.#ports.set(pod, made);
    return made;
  }

  /** Returns all cells, by source, then target, then port. A cluster of 1,000 pods has millions: take them one by one. */
  *cells(): Generator<Cell> {
    for (const from of this.pods) {
      const fromKey = objectKey(from);
      for (const to of this.pods) {
        const pair = { from: fromKey, to: objectKey(to) };
        for (const port of this.portsOf(to)) yield { ...pair, ...port, ...this.answers(from, to, port) };
      }
    }
  }

  /** Returns whether one of the matrix' pods reaches another. */
  answers(from: Pod, to: Pod, port: ContainerPort): Answers {
    return this.#verdicts.answers({ from, to }, port);
  }

  /** Returns the pods of the matrix, alike ones together, by namespace and first name. */
  groups(): readonly PodGroup[] {
    const groups = Map.groupBy(this.pods, (pod) => {
      const ports = this.portsOf(pod).map(({ protocol, port, portName }) => [port, protocol, portName]);
      return JSON.stringify([this.#verdicts.classOf(pod), ports]);
    });
    return [...groups.values()].flatMap(([first, ...others]) =>
      first === undefined
        ? []
        : [{ namespace: first.namespace, pods: [first, ...others] as const, ports: this.portsOf(first) }],
    );
  }
}

function byKey(a: Pod, b: Pod): number {
  if (a.namespace !== b.namespace) return a.namespace < b.namespace ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}

function portsOf({ namedPorts, unnamedPorts }: Pod, { ports = [], only }: MatrixOptions): readonly AskedPort[] {
  const found = new Map<number, AskedPort>();
  // Of a port that is declared twice the first name counts; named ones come first.
  for (const { protocol, port, name } of [...namedPorts, ...[...unnamedPorts, ...ports].map(unnamed)]) {
    const number = portNumber({ port, protocol });
    if (!found.has(number)) found.set(number, { port, portName: name, protocol });
  }
  const all = [...found].toSorted(([a], [b]) => a - b).map(([, port]) => port);
  return only === undefined
    ? all
    : all.filter(({ port, protocol }) => port === only.port && protocol === only.protocol);
}

function unnamed({ protocol, port }: ContainerPort) {
  return { protocol, port, name: null };
}

/** Returns one number for port and protocol, in the order of ports. */
function portNumber({ port, protocol }: ContainerPort): number {
  return port * PROTOCOLS.length + PROTOCOLS.indexOf(protocol);
}

interface Pair {
  readonly from: Pod;
  readonly to: Pod;
}

/** What is known of one pair of classes. */
interface KnownPair {
  /** The cluster without the policies that select neither pod: `evaluate` looks at each policy there is. */
  readonly near: Cluster;
  readonly answers: Map<number, Answers>;
}

/** The answers for each pair of classes. Two cases of `evaluate` look at the pods themselves: a pod and itself, a pod and its own node. */
class Verdicts {
  readonly #cluster: Cluster;
  readonly #classes: ReadonlyMap<Pod, number>;
  readonly #policies: ReadonlyMap<string, readonly NetworkPolicy[]>;
  readonly #selecting = new Map<number, readonly NetworkPolicy[]>();
  readonly #known = new Map<number, KnownPair>();

  constructor(cluster: Cluster, pods: readonly Pod[]) {
    this.#cluster = cluster;
    this.#classes = podClasses(cluster, pods);
    this.#policies = Map.groupBy(cluster.policies.values(), ({ namespace }) => namespace);
  }

  classOf(pod: Pod): number {
    return this.#classes.get(pod) ?? -1;
  }

  answers(pair: Pair, port: ContainerPort): Answers {
    const known = this.#knownOf(pair);
    const number = portNumber(port);
    const seen = known.answers.get(number);
    if (seen !== undefined) return seen;
    const made = judge(known.near, pair, port);
    known.answers.set(number, made);
    return made;
  }

  #knownOf(pair: Pair): KnownPair {
    const { from, to } = pair;
    const relation = from === to ? 2 : Number(isWithNode(pair));
    const key = (this.classOf(from) * this.#classes.size + this.classOf(to)) * 3 + relation;
    const seen = this.#known.get(key);
    if (seen !== undefined) return seen;
    const policies = [...this.#selectingOf(from), ...this.#selectingOf(to)];
    const near = { ...this.#cluster, policies: new Map(policies.map((policy) => [objectKey(policy), policy])) };
    const made = { near, answers: new Map<number, Answers>() };
    this.#known.set(key, made);
    return made;
  }

  #selectingOf(pod: Pod): readonly NetworkPolicy[] {
    const seen = this.#selecting.get(this.classOf(pod));
    if (seen !== undefined) return seen;
    const made = (this.#policies.get(pod.namespace) ?? []).filter(
      ({ podSelector }) => selectorMismatch(podSelector, pod.labels) === undefined,
    );
    this.#selecting.set(this.classOf(pod), made);
    return made;
  }
}

function judge(cluster: Cluster, { from, to }: Pair, { port, protocol }: ContainerPort): Answers {
  const { egress, ingress } = evaluate(cluster, { from: endpoint(from), to: endpoint(to), port, protocol });
  const answers = ANSWERS[answerOf(egress)][answerOf(ingress)];
  const isAudited = answers.verdict === 'allowed' && (egress.kind === 'audited' || ingress.kind === 'audited');
  return isAudited ? AUDITED : answers;
}

function isWithNode({ from, to }: Pair): boolean {
  return (from.hostNetwork || to.hostNetwork) && from.nodeName !== undefined && from.nodeName === to.nodeName;
}

function endpoint({ namespace, name }: Pod) {
  return { kind: 'pod', namespace, name } as const;
}

function answerOf({ kind }: SideVerdict): Answer {
  return kind === 'refused' ? 'blocked' : 'allowed';
}

const AUDITED: Answers = { egress: 'allowed', ingress: 'allowed', verdict: 'allowed', audit: true };

const ANSWERS: Readonly<Record<Answer, Readonly<Record<Answer, Answers>>>> = {
  allowed: {
    allowed: { egress: 'allowed', ingress: 'allowed', verdict: 'allowed' },
    blocked: { egress: 'allowed', ingress: 'blocked', verdict: 'blocked' },
  },
  blocked: {
    allowed: { egress: 'blocked', ingress: 'allowed', verdict: 'blocked' },
    blocked: { egress: 'blocked', ingress: 'blocked', verdict: 'blocked' },
  },
};
