import type { ContainerPort } from '../kube/pod.ts';
import { portText } from '../kube/portText.ts';
import { PROTOCOLS } from '../net/protocol.ts';
import type { AskedPort } from '../policy/matrix.ts';
import type { PageGroup } from './comparison.ts';

/** What of a table is shown. Empty means all. */
export interface Filter {
  readonly from: string;
  readonly to: string;
  readonly namespaces: ReadonlySet<string>;
  /** A port as `6379/TCP`, or a protocol alone. */
  readonly port: string;
}

export const NO_FILTER: Filter = { from: '', to: '', namespaces: new Set(), port: '' };

/** A column: one port of a group. */
export interface Column {
  readonly group: PageGroup;
  readonly port: AskedPort;
}

/** Returns the groups that are rows. */
export function rowsOf(groups: readonly PageGroup[], { from, namespaces }: Filter): readonly PageGroup[] {
  return groups.filter((group) => isShown(group, { search: from, namespaces }));
}

/** Returns the ports of groups that are columns. */
export function columnsOf(groups: readonly PageGroup[], { to, namespaces, port }: Filter): readonly Column[] {
  return groups
    .filter((group) => isShown(group, { search: to, namespaces }))
    .flatMap((group) => group.ports.filter((each) => isMeant(port, each)).map((each) => ({ group, port: each })));
}

/** Every word must be found in a name or a label of the group. */
function isShown(
  { namespace, words }: PageGroup,
  { search, namespaces }: { readonly search: string; readonly namespaces: ReadonlySet<string> },
): boolean {
  if (namespaces.size > 0 && !namespaces.has(namespace)) return false;
  const wanted = search.toLowerCase().split(/\s+/);
  return wanted.every((word) => words.includes(word));
}

function isMeant(wanted: string, port: ContainerPort): boolean {
  return wanted === '' || wanted === port.protocol || wanted === portText(port);
}

/** Returns what there is to choose as a filter's `port`: each protocol that occurs, if there are several, then each port. */
export function portChoices(groups: readonly PageGroup[]): readonly string[] {
  const ports = new Map(groups.flatMap((group) => group.ports.map((port) => [portText(port), port] as const)));
  const sorted = [...ports].toSorted(([, a], [, b]) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
  const protocols = PROTOCOLS.filter((protocol) => sorted.some(([, port]) => port.protocol === protocol));
  return [...(protocols.length > 1 ? protocols : []), ...sorted.map(([text]) => text)];
}

/** Returns the namespaces of groups, each once, in their order. */
export function namespacesOf(groups: readonly PageGroup[]): readonly string[] {
  return [...new Set(groups.map(({ namespace }) => namespace))];
}
