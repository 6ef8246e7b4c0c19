import type { Cluster } from '../kube/cluster.ts';
import { namespaceOf, objectKey, type Pod } from '../kube/pod.ts';
import { portText } from '../kube/portText.ts';
import { groupAnswer, type GroupAnswer } from '../policy/groupAnswer.ts';
import { groupLabel } from '../policy/groupLabel.ts';
import { matrix, type AskedPort, type Matrix, type MatrixOptions } from '../policy/matrix.ts';
import type { Change } from '../policy/matrixChanges.ts';

/** Before or after a change. Where there is no change, all is `before`. */
export type When = 'before' | 'after';

/** Pods of one namespace that policies cannot tell apart, neither before nor after. */
export interface PageGroup {
  readonly index: number;
  readonly namespace: string;
  readonly label: string;
  /** Keys, sorted. */
  readonly pods: readonly [string, ...string[]];
  /** What is searched, in lower case: names and labels. */
  readonly words: string;
  /** The ports at which these pods are asked, before or after. */
  readonly ports: readonly AskedPort[];
  readonly members: Readonly<Record<When, readonly Pod[]>>;
}

/** A place in the table. */
export interface PageCell {
  readonly from: PageGroup;
  readonly to: PageGroup;
  readonly port: AskedPort;
}

/** `absent`: at that time the pods or the port are not there. */
export type CellState = GroupAnswer | 'absent';

/** A matrix, or two to compare, with pods in rows that both can share. */
export class Comparison {
  readonly hasChange: boolean;
  /** Whether policies are in audit mode, before or after. */
  readonly hasAudit: boolean;
  /** By namespace and first name. */
  readonly groups: readonly PageGroup[];
  readonly #matrices: Readonly<Record<When, Matrix>>;

  constructor(clusters: { readonly before: Cluster; readonly after?: Cluster | undefined }, options: MatrixOptions) {
    const before = matrix(clusters.before, options);
    const after = clusters.after === undefined ? before : matrix(clusters.after, options);
    this.hasChange = after !== before;
    this.hasAudit = [clusters.before, clusters.after ?? clusters.before].some(isAudited);
    this.#matrices = { before, after };
    this.groups = groupsOf(this.#matrices);
  }

  /** Returns whether the row's pods reach the column's. */
  state({ from, to, port }: PageCell, when: When): CellState {
    const made = this.#matrices[when];
    const [source, target] = [from, to].map(({ members }) => membersOf(members[when]));
    if (source === undefined || target === undefined || !isAsked(made, target[0], port)) return 'absent';
    return groupAnswer(made, { from: { pods: source }, to: { pods: target }, port });
  }

  /** Returns what the change does to a cell; `undefined` if nothing. */
  change(cell: PageCell): Change | undefined {
    if (!this.hasChange) return undefined;
    const [before, after] = [this.state(cell, 'before'), this.state(cell, 'after')];
    if (before === after) return undefined;
    if (before === 'absent') return 'new';
    if (after === 'absent') return 'gone';
    if (OPENNESS[after] === OPENNESS[before]) return undefined;
    return OPENNESS[after] > OPENNESS[before] ? 'opens' : 'closes';
  }
}

/** What audit mode lets pass does pass. */
const OPENNESS: Readonly<Record<GroupAnswer, number>> = { blocked: 0, mixed: 1, audit: 2, allowed: 2 };

function isAudited({ namespaces, policies }: Cluster): boolean {
  return [...namespaces.values(), ...policies.values()].some(({ audit }) => audit === true);
}

function membersOf([first, ...others]: readonly Pod[]): readonly [Pod, ...Pod[]] | undefined {
  return first && [first, ...others];
}

function isAsked(made: Matrix, pod: Pod, { port, protocol }: AskedPort): boolean {
  return made.portsOf(pod).some((asked) => asked.port === port && asked.protocol === protocol);
}

type Sides = Readonly<Record<When, Matrix>>;

function groupsOf({ before, after }: Sides): readonly PageGroup[] {
  const was = indexesOf(before);
  const is = before === after ? was : indexesOf(after);
  const keys = [...new Set([...was.keys(), ...is.keys()])].toSorted(byKey);
  const together = Map.groupBy(keys, (key) => `${was.get(key) ?? ''} ${is.get(key) ?? ''}`);
  const [podsBefore, podsAfter] = [podsOf(before), podsOf(after)];
  return [...together.values()].flatMap(([first, ...others], index) => {
    if (first === undefined) return [];
    const pods = [first, ...others] as const;
    const present = (held: ReadonlyMap<string, Pod>) => pods.flatMap((key) => held.get(key) ?? []);
    const members = { before: present(podsBefore), after: present(podsAfter) };
    return [groupOf({ index, pods, members }, { before, after })];
  });
}

// As the matrix sorts pods: by namespace, whatever the characters in names.
function byKey(a: string, b: string): number {
  const [first, second] = [namespaceOf(a), namespaceOf(b)];
  if (first !== second) return first < second ? -1 : 1;
  return a < b ? -1 : 1;
}

function indexesOf(made: Matrix): ReadonlyMap<string, number> {
  return new Map(made.groups().flatMap(({ pods }, index) => pods.map((pod) => [objectKey(pod), index] as const)));
}

function podsOf(made: Matrix): ReadonlyMap<string, Pod> {
  return new Map(made.pods.map((pod) => [objectKey(pod), pod]));
}

function groupOf(
  { index, pods, members }: Pick<PageGroup, 'index' | 'pods' | 'members'>,
  { before, after }: Sides,
): PageGroup {
  const asked = [
    ...members.before.slice(0, 1).flatMap((pod) => before.portsOf(pod)),
    ...members.after.slice(0, 1).flatMap((pod) => after.portsOf(pod)),
  ];
  const ports = [...new Map(asked.toReversed().map((port) => [portText(port), port])).values()];
  const every = [...members.before, ...members.after];
  return {
    index,
    namespace: namespaceOf(pods[0]),
    label: groupLabel(pods.map((key) => ({ name: key.slice(key.indexOf('/') + 1) }))),
    pods,
    words: [...new Set([...pods, ...every.flatMap(labelTexts)])].join('\n').toLowerCase(),
    ports: ports.toSorted((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1)),
    members,
  };
}

function labelTexts({ labels }: Pod): readonly string[] {
  return [...labels].map(([key, value]) => `${key}=${value}`);
}
