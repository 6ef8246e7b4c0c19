import { portText } from '../kube/portText.ts';
import { printable } from '../net/quote.ts';
import type { Change, ChangedCell } from '../policy/matrixChanges.ts';

/** More pods than this are counted. */
const MOST_NAMED = 4;

/** Returns what changes, a line for all targets and ports to which the same happens from the same sources, and how many cells that is. */
export function changesText(changes: readonly ChangedCell[]): string {
  if (changes.length === 0) return 'Nothing opens or closes\n';
  const targets = [...Map.groupBy(changes, targetKey).values()].map(targetOf);
  const lines = [...Map.groupBy(targets, ({ key }) => key).values()].map(lineOf);
  const ordered = lines.toSorted((a, b) => ORDER.indexOf(a.change) - ORDER.indexOf(b.change));
  return `${ordered.map(({ text }) => text).join('\n')}\n\n${summary(changes)}\n`;
}

const ORDER: readonly Change[] = ['opens', 'closes', 'new', 'gone'];

function targetKey({ change, cell }: ChangedCell): string {
  return JSON.stringify([wordOf({ change, cell }), cell.to, cell.port, cell.protocol]);
}

/** Of a new or vanished cell it matters whether it is open. */
function wordOf({ change, cell }: ChangedCell): string {
  return change === 'new' || change === 'gone' ? `${change} (${cell.verdict})` : change;
}

/** A port of a pod, with everyone for whom the same becomes of it. */
interface Target {
  readonly first: ChangedCell;
  readonly sources: readonly string[];
  /** Equal for targets that a line can tell of together. */
  readonly key: string;
}

function targetOf([first, ...others]: readonly ChangedCell[]): Target {
  if (first === undefined) throw new Error('A group has a first member');
  const sources = [first, ...others].map(({ cell }) => cell.from);
  return { first, sources, key: JSON.stringify([wordOf(first), sources]) };
}

function lineOf(targets: readonly Target[]): { readonly change: Change; readonly text: string } {
  const [target] = targets;
  if (target === undefined) throw new Error('A group has a first member');
  const ports = listText(targets.map(({ first: { cell } }) => `${cell.to} ${portText(cell)}`));
  const text = `${wordOf(target.first).padEnd(6)} ${ports} from ${listText(target.sources)}`;
  return { change: target.first.change, text };
}

function listText(items: readonly string[]): string {
  const named = items.slice(0, MOST_NAMED).map(printable).join(', ');
  const others = items.length - MOST_NAMED;
  return others > 0 ? `${named} and ${others} more` : named;
}

function summary(changes: readonly ChangedCell[]): string {
  const counts = ORDER.map((wanted) => ({ wanted, count: changes.filter(({ change }) => change === wanted).length }));
  const parts = counts.filter(({ count }) => count > 0).map(({ wanted, count }) => `${count} ${wanted}`);
  return `Cells: ${parts.join(', ')}`;
}
