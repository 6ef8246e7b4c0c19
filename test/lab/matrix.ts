import type { Cluster } from '../../src/kube/cluster.ts';
import { familyOf } from '../../src/net/family.ts';
import { evaluate } from '../../src/policy/evaluate.ts';
import type { Endpoint, Flow } from '../../src/policy/flow.ts';
import type { DialResult, Probe, Target } from './probe.ts';

/** Whoever can be at an end of a flow: a pod, a node, a host outside the cluster. */
export interface Party {
  /** What its probe answers with. */
  readonly key: string;
  readonly addresses: readonly string[];
  readonly probe: Probe;
  /** Returns the end of a flow that has this address of it, as `evaluate` wants it. */
  endpoint(address: string): Endpoint;
}

/** One flow, tried with real packets. */
export interface Cell extends DialResult {
  readonly from: Party;
  readonly to: Party;
  readonly target: Target;
  /** The same for `evaluate`. */
  readonly flow: Flow;
}

export interface MatrixOptions {
  readonly ports: readonly number[];
  /** Both if not given. */
  readonly protocols?: readonly Target['protocol'][];
  readonly timeoutMs?: number;
}

/** Tries every source × target × family that both have × port × protocol, a party with itself included, and returns the cells in that order. */
export async function matrix(
  { from, to }: { readonly from: readonly Party[]; readonly to: readonly Party[] },
  { ports, protocols = ['TCP', 'UDP'], timeoutMs = 3000 }: MatrixOptions,
): Promise<readonly Cell[]> {
  const rows = from.map(async (source) => {
    const flows = to.flatMap((target) => flowsBetween(source, target, { ports, protocols }));
    const results = await source.probe.dial(
      flows.map(({ target }) => target),
      { timeoutMs, concurrency: 16 },
    );
    return flows.map((flow, index): Cell => ({ ...flow, ...(results[index] ?? { outcome: 'timeout' }) }));
  });
  return (await Promise.all(rows)).flat();
}

function flowsBetween(
  from: Party,
  to: Party,
  { ports, protocols }: Required<Pick<MatrixOptions, 'ports' | 'protocols'>>,
) {
  const pairs = to.addresses.flatMap((address) => {
    const source = from.addresses.find((candidate) => familyOf(candidate) === familyOf(address));
    return source === undefined ? [] : [{ source, address }];
  });
  return pairs.flatMap(({ source, address }) =>
    ports.flatMap((port) =>
      protocols.map((protocol) => ({
        from,
        to,
        target: { address, port, protocol },
        flow: { from: from.endpoint(source), to: to.endpoint(address), protocol, port },
      })),
    ),
  );
}

/** Says whether a flow passed: the one who was meant answered. */
export function isOpen(cell: Cell): boolean {
  return cell.outcome === 'open' && cell.answeredBy === cell.to.key;
}

/** Returns a line for each cell in which the kernel did not do what `evaluate` says of the cluster. */
export function disagreements(cells: readonly Cell[], cluster: Cluster): readonly string[] {
  return cells.flatMap((cell) => {
    const isAllowed = evaluate(cluster, cell.flow).allowed;
    return isAllowed === isOpen(cell) ? [] : [`${describe(cell)}, should be ${isAllowed ? 'open' : 'closed'}`];
  });
}

/** Returns e.g. `shop/web -> shop/db 10.244.1.3 TCP/6379: refused`. */
export function describe({ from, to, target, outcome, answeredBy, error }: Cell): string {
  const wrong = answeredBy === undefined || answeredBy === to.key ? '' : ` by ${answeredBy}`;
  const reason = error === undefined ? '' : ` (${error})`;
  return `${from.key} -> ${to.key} ${target.address} ${target.protocol}/${target.port}: ${outcome}${wrong}${reason}`;
}
