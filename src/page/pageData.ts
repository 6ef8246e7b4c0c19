import { changesBetween, type Cluster } from '../kube/cluster.ts';
import type { MatrixOptions } from '../policy/matrix.ts';
import { clusterFromJson, clusterJson } from './clusterJson.ts';

/** Where policies stand, `FILE:LINE`, by their keys. */
export type Places = ReadonlyMap<string, string>;

/** A cluster at one time, with what it is to be asked. */
export interface Snapshot {
  /** Where it comes from, as people named it. */
  readonly source: string;
  readonly options: MatrixOptions;
  readonly before: Cluster;
  readonly places: Places;
  /** What it would be after a change, if one is asked about. */
  readonly after: { readonly cluster: Cluster; readonly places: Places; readonly source: string } | undefined;
}

/** A page that asks the server it comes from holds this in place of a snapshot. */
export const LIVE = '{"live":true}';

interface SnapshotJson {
  readonly source: string;
  readonly options: MatrixOptions;
  readonly places: readonly (readonly [string, string])[];
  readonly before: unknown;
  readonly after: {
    readonly changed: unknown;
    readonly places: SnapshotJson['places'];
    readonly source: string;
  } | null;
}

/** Returns a snapshot as JSON. Of what is after a change it holds the objects that differ. */
export function snapshotJson({ source, options, before, places, after }: Snapshot): string {
  const text = JSON.stringify({ source, options, places: [...places] });
  const changed = after && [
    `{"source":${JSON.stringify(after.source)},"places":${JSON.stringify([...after.places])},"changed":`,
    ...clusterJson(differing(before, after.cluster)),
    '}',
  ];
  return [text.slice(0, -1), ',"before":', ...clusterJson(before), ',"after":', ...(changed ?? ['null']), '}'].join('');
}

function differing(before: Cluster, after: Cluster): Cluster {
  const changes = changesBetween(before, after);
  const only = <T>(objects: ReadonlyMap<string, T>, keys: ReadonlySet<string>) =>
    new Map([...objects].filter(([key]) => keys.has(key)));
  return {
    namespaces: only(after.namespaces, changes.namespaces),
    pods: only(after.pods, changes.pods),
    policies: only(after.policies, changes.policies),
  };
}

/** Returns the snapshot that `snapshotJson` wrote, from the parsed JSON, or `undefined` for `LIVE`. */
export function snapshotFromJson(json: unknown): Snapshot | undefined {
  if (typeof json !== 'object' || json === null || 'live' in json) return undefined;
  const { source, options, places, before, after } = json as SnapshotJson;
  const cluster = clusterFromJson(before);
  return {
    source,
    options,
    before: cluster,
    places: new Map(places),
    after: after === null ? undefined : { ...after, places: new Map(after.places), cluster: merged(cluster, after) },
  };
}

function merged(before: Cluster, { changed }: { readonly changed: unknown }): Cluster {
  const { namespaces, pods, policies } = clusterFromJson(changed);
  return {
    namespaces: new Map([...before.namespaces, ...namespaces]),
    pods: new Map([...before.pods, ...pods]),
    policies: new Map([...before.policies, ...policies]),
  };
}

/** What an agent's page shows: what that agent knows, and nothing else. */
export interface LiveView {
  readonly node: string;
  /** Whether the agent knows only the pods that policies of its own node's pods need. */
  readonly isPartial: boolean;
  /** Why the source says nothing new; `null` while it does. */
  readonly away: string | null;
  readonly snapshot: Snapshot;
}

/** Returns an agent's view as JSON, in portions as `clusterJson` does. */
export function* liveJson({
  source,
  cluster,
  ...view
}: Omit<LiveView, 'snapshot'> & { readonly source: string; readonly cluster: Cluster }): Generator<string> {
  yield `{"view":${JSON.stringify(view)},"snapshot":{"source":${JSON.stringify(source)},"options":{},"places":[],"before":`;
  yield* clusterJson(cluster);
  yield ',"after":null}}';
}

/** Returns what `liveJson` wrote, from the parsed JSON; `undefined` if it is something else. */
export function liveFromJson(json: unknown): LiveView | undefined {
  if (typeof json !== 'object' || json === null || !('view' in json) || !('snapshot' in json)) return undefined;
  const snapshot = snapshotFromJson(json.snapshot);
  return snapshot && { ...(json.view as Omit<LiveView, 'snapshot'>), snapshot };
}
