import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import type { IpFamily } from '../../src/net/family.ts';
import type { Protocol } from '../../src/net/protocol.ts';
import type { Manifest } from './manifests.ts';

const FOLDER = join(import.meta.dirname, '../../examples');

/** One question of an example's matrix. A pod to itself is always allowed, and is in here too. */
export interface ExampleCell {
  /** Pods by `namespace/name`. */
  readonly from: string;
  readonly to: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly family: IpFamily;
  readonly verdict: 'allow' | 'block';
}

/** An example policy, a cluster for it and every verdict in that cluster. */
export interface Example {
  readonly name: string;
  /** The file of the policy. */
  readonly file: string;
  readonly policies: readonly Manifest[];
  /** The namespaces and pods, and policies that stood before. Every pod listens on every port of the cells. */
  readonly cluster: readonly Manifest[];
  /**
   * The addresses that pods must have because the policy names networks. All others get theirs from the test, outside of
   * 10.0.0.0/24, 10.20.0.0/15, 172.17.0.0/16 and fd00:20::/31.
   */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  readonly cells: readonly ExampleCell[];
}

/** An example that must be refused, with the problems it must be refused for. */
export interface RefusedExample {
  readonly name: string;
  readonly file: string;
  readonly problems: readonly { readonly line: number; readonly path: string }[];
}

interface Verdicts {
  readonly families?: readonly IpFamily[];
  readonly ports: readonly string[];
  readonly default: 'allow' | 'block';
  /** Cells of the other verdict; what an exception does not name is any. */
  readonly exceptions: readonly Exception[];
  readonly cluster: readonly Manifest[];
  readonly refused?: RefusedExample['problems'];
}

interface Exception {
  readonly from?: readonly string[];
  readonly to?: readonly string[];
  readonly ports?: readonly string[];
  readonly families?: readonly IpFamily[];
}

/** Returns the examples that a cluster takes, in the order of their names. */
export function loadExamples(): readonly Example[] {
  return exampleFiles().flatMap(({ name, file, verdicts }) => {
    if (verdicts.refused !== undefined) return [];
    const policies = parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS() as Manifest);
    const pods = verdicts.cluster.filter(({ kind }) => kind === 'Pod');
    const addresses = new Map(pods.map((pod) => [keyOf(pod), addressesOf(pod)]));
    return [
      { name, file, policies, cluster: verdicts.cluster, addresses, cells: cellsOf(verdicts, [...addresses.keys()]) },
    ];
  });
}

/** Returns the examples that must be refused. */
export function loadRefusedExamples(): readonly RefusedExample[] {
  return exampleFiles().flatMap(({ name, file, verdicts: { refused } }) =>
    refused === undefined ? [] : [{ name, file, problems: refused }],
  );
}

/** Returns the example's cluster with these addresses in the status of its pods. */
export function withAddresses(
  { cluster }: Example,
  addresses: ReadonlyMap<string, readonly string[]>,
): readonly Manifest[] {
  return cluster.map((manifest) => {
    const given = manifest['kind'] === 'Pod' ? addresses.get(keyOf(manifest)) : undefined;
    return given === undefined ? manifest : { ...manifest, status: { podIPs: given.map((ip) => ({ ip })) } };
  });
}

function exampleFiles(): readonly { name: string; file: string; verdicts: Verdicts }[] {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));
  return files.toSorted().map((file) => ({
    name: basename(file, '.yaml'),
    file: join(FOLDER, file),
    verdicts: parse(readFileSync(join(FOLDER, 'verdicts', file), 'utf8')) as Verdicts,
  }));
}

function cellsOf(verdicts: Verdicts, pods: readonly string[]): readonly ExampleCell[] {
  const { families = ['ipv4', 'ipv6'], ports, exceptions } = verdicts;
  for (const exception of exceptions) refuseUnknown(exception, { pods, ports, families });
  const other = verdicts.default === 'allow' ? 'block' : 'allow';
  const columns = families.flatMap((family) => ports.map((port) => ({ family, port })));
  const pairs = pods.flatMap((from) => pods.map((to) => ({ from, to })));
  return pairs.flatMap(({ from, to }) =>
    columns.map(({ family, port }) => {
      const isException = exceptions.some((exception) => covers(exception, { from, to, port, family }));
      const verdict = isException ? other : verdicts.default;
      return { from, to, ...portOf(port), family, verdict: from === to ? 'allow' : verdict };
    }),
  );
}

function covers(
  { from, to, ports, families }: Exception,
  cell: { readonly from: string; readonly to: string; readonly port: string; readonly family: IpFamily },
): boolean {
  return (
    isAmong(cell.from, from) && isAmong(cell.to, to) && isAmong(cell.port, ports) && isAmong(cell.family, families)
  );
}

function isAmong(item: string, list: readonly string[] | undefined): boolean {
  return list === undefined || list.includes(item);
}

function refuseUnknown(
  exception: Exception,
  known: {
    readonly pods: readonly string[];
    readonly ports: readonly string[];
    readonly families: readonly IpFamily[];
  },
): void {
  const { from = [], to = [], ports = [], families = [] } = exception;
  const all: readonly string[] = [...known.pods, ...known.ports, ...known.families];
  const unknown = [...from, ...to, ...ports, ...families].filter((item) => !all.includes(item));
  if (unknown.length > 0) throw new Error(`Cannot use exceptions of ${unknown.join(', ')}: not in the matrix`);
}

function portOf(text: string): { readonly port: number; readonly protocol: Protocol } {
  const [port, protocol] = text.split('/');
  return { port: Number(port), protocol: protocol as Protocol };
}

function keyOf(manifest: Manifest): string {
  const { namespace, name } = manifest['metadata'] as { namespace: string; name: string };
  return `${namespace}/${name}`;
}

function addressesOf(pod: Manifest): readonly string[] {
  const status = pod['status'] as { podIPs: readonly { ip: string }[] } | undefined;
  return status?.podIPs.map(({ ip }) => ip) ?? [];
}
