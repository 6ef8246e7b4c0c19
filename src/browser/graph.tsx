import { useMemo, useState } from 'preact/hooks';
import type { Cluster } from '../kube/cluster.ts';
import type { Column } from '../page/axes.ts';
import { arcsOf, curve, spotsOf, type Spot } from '../page/circle.ts';
import type { Comparison, PageGroup, When } from '../page/comparison.ts';
import { leavesOf, linksOf, type Leaf, type Link } from '../page/links.ts';
import { GraphWords } from './graphWords.tsx';
import { useWork } from './useWork.ts';

interface GraphProps {
  readonly comparison: Comparison;
  readonly rows: readonly PageGroup[];
  readonly columns: readonly Column[];
  readonly when: When;
  readonly cluster: Cluster;
}

/** More groups than this are told by their namespaces. */
const MOST_LEAVES = 72;
const RADIUS = 245;
/** Where labels begin, in radii. */
const LABELS_AT = 1.085;
/** More than the mean width of a character. */
const CHARACTER = 8.4;

/** Who may talk to whom: pods around a circle, by namespace, and a curve for each pair of which one reaches the other. */
export function Graph({ comparison, rows, columns, when, cluster }: GraphProps) {
  const leaves = useMemo(() => {
    const shown = new Set([...rows, ...columns.map(({ group }) => group)]);
    return leavesOf(
      comparison.groups.filter((group) => shown.has(group)),
      { most: MOST_LEAVES },
    );
  }, [comparison, rows, columns]);
  const work = useWork(
    () => linksOf(comparison, { leaves, rows, columns, when, cluster }),
    [comparison, leaves, rows, columns, when, cluster],
  );
  const [kept, setKept] = useState<string | undefined>(undefined);
  const [pointed, setPointed] = useState<string | undefined>(undefined);
  const spots = useMemo(
    () =>
      spotsOf(
        leaves.map(({ namespace }) => namespace),
        RADIUS,
      ),
    [leaves],
  );
  const chosen = leaves.findIndex(({ name }) => name === (pointed ?? kept));
  const links = work.found ?? [];
  return (
    <div class="graph">
      <svg viewBox={boxFor(leaves)} role="group" aria-label="Who may talk to whom" onClick={() => setKept(undefined)}>
        <Arrows />
        <Namespaces leaves={leaves} />
        <Links links={links} spots={spots} chosen={chosen} work={work} />
        <Leaves
          leaves={leaves}
          links={links}
          spots={spots}
          chosen={chosen}
          kept={kept}
          onKeep={setKept}
          onPoint={setPointed}
        />
      </svg>
      <GraphWords leaves={leaves} links={links} chosen={chosen} isDone={work.isDone} />
    </div>
  );
}

/** Leaves room for the longest label all around. */
function boxFor(leaves: readonly Leaf[]): string {
  const longest = Math.max(0, ...leaves.map(({ name }) => name.length));
  const half = RADIUS * LABELS_AT + longest * CHARACTER;
  return [-half, -half, 2 * half, 2 * half].join(' ');
}

function Arrows() {
  return (
    <defs>
      {['out', 'in'].map((name) => (
        <marker
          key={name}
          id={`arrow-${name}`}
          class={name}
          viewBox="0 0 8 8"
          refX="9"
          refY="4"
          markerWidth="7"
          markerHeight="7"
          orient="auto"
        >
          <path d="M0,0.5L8,4L0,7.5z" />
        </marker>
      ))}
    </defs>
  );
}

function Namespaces({ leaves }: { readonly leaves: readonly Leaf[] }) {
  const sections = leaves.map(({ namespace }) => namespace);
  return (
    <g class="arcs" aria-hidden="true">
      {arcsOf(sections, RADIUS + 11).map(({ name, path }) => (
        <path key={name} d={path} />
      ))}
    </g>
  );
}

interface LinksProps {
  readonly links: readonly Link[];
  readonly spots: readonly Spot[];
  readonly chosen: number;
  /** Another one each time that more was found. */
  readonly work: object;
}

const KINDS = ['free', 'ruled', 'opens', 'closes'] as const;

/** All links of a kind are one path: thousands of elements would be slow. */
function Links({ links, spots, chosen, work }: LinksProps) {
  const all = useMemo(
    () =>
      KINDS.map((kind) => ({
        kind,
        path: pathOf(
          links.filter((link) => kindOf(link) === kind),
          spots,
        ),
      })),
    [work, spots],
  );
  const ofChosen = chosen < 0 ? [] : links.filter(({ from, to }) => (from === chosen) !== (to === chosen));
  return (
    <g class={`links ${chosen < 0 ? '' : 'dimmed'}`} aria-hidden="true">
      {all.map(({ kind, path }) => (
        <path key={kind} class={kind} d={path} />
      ))}
      {ofChosen.map((link) => (
        <path
          key={`${link.from} ${link.to}`}
          class={`chosen ${link.from === chosen ? 'out' : 'in'} ${link.change ?? ''}`}
          marker-end={`url(#arrow-${link.from === chosen ? 'out' : 'in'})`}
          d={pathOf([link], spots)}
        />
      ))}
    </g>
  );
}

function kindOf({ change, isRuled }: Link): (typeof KINDS)[number] {
  return change ?? (isRuled ? 'ruled' : 'free');
}

function pathOf(links: readonly Link[], spots: readonly Spot[]): string {
  return links
    .flatMap(({ from, to }) => {
      const [a, b] = [spots[from], spots[to]];
      return a && b && a !== b ? [curve(a, b)] : [];
    })
    .join('');
}

interface LeavesProps {
  readonly leaves: readonly Leaf[];
  readonly links: readonly Link[];
  readonly spots: readonly Spot[];
  readonly chosen: number;
  readonly kept: string | undefined;
  readonly onKeep: (name: string | undefined) => void;
  readonly onPoint: (name: string | undefined) => void;
}

function Leaves({ leaves, links, spots, chosen, kept, onKeep, onPoint }: LeavesProps) {
  const near = new Set(links.flatMap(({ from, to }) => (from === chosen ? [to] : to === chosen ? [from] : [])));
  const [focused, setFocused] = useState(0);
  const isFocusable = (index: number) => index === Math.min(focused, leaves.length - 1);
  return (
    <>
      {leaves.map((leaf, index) => {
        const { name, namespace } = leaf;
        const { x, y, degrees, isLeft } = spots[index] ?? { x: 0, y: 0, degrees: 0, isLeft: false };
        const state = index === chosen ? 'chosen' : chosen < 0 || near.has(index) ? '' : 'far';
        const label = name.slice(name === namespace ? 0 : namespace.length + 1);
        return (
          <g
            key={name}
            class={`leaf ${state}`}
            role="button"
            tabIndex={isFocusable(index) ? 0 : -1}
            aria-pressed={name === kept}
            aria-label={`${name}: ${countsOf(links, index)}`}
            onMouseEnter={() => onPoint(name)}
            onMouseLeave={() => onPoint(undefined)}
            onFocus={() => {
              setFocused(index);
              onPoint(name);
            }}
            onBlur={() => onPoint(undefined)}
            onClick={(event) => {
              event.stopPropagation();
              onKeep(name === kept ? undefined : name);
            }}
            onKeyDown={(event) => {
              if (event.key === 'Enter' || event.key === ' ') onKeep(name === kept ? undefined : name);
              else if (event.key === 'Escape') {
                onKeep(undefined);
                onPoint(undefined);
              } else if (!stepTo(event, leaves.length)) return;
              event.preventDefault();
            }}
          >
            <circle cx={x} cy={y} r={dotSize(leaf)} />
            <text
              transform={`translate(${x * LABELS_AT},${y * LABELS_AT}) rotate(${degrees})`}
              text-anchor={isLeft ? 'end' : 'start'}
              dy="0.35em"
            >
              {name !== namespace && <tspan class="namespace">{namespace}/</tspan>}
              {label}
            </text>
          </g>
        );
      })}
    </>
  );
}

/** Its area grows with the number of pods, as far as there is room. */
function dotSize({ groups }: Leaf): number {
  return Math.min(13, 4 * Math.sqrt(groups.reduce((total, { pods }) => total + pods.length, 0)));
}

const STEPS: ReadonlyMap<string, number> = new Map([
  ['ArrowRight', 1],
  ['ArrowDown', 1],
  ['ArrowLeft', -1],
  ['ArrowUp', -1],
]);

/** Puts the focus on the next leaf around the circle. Returns whether the key means that. */
function stepTo({ key, currentTarget }: preact.TargetedKeyboardEvent<SVGGElement>, count: number): boolean {
  const step = STEPS.get(key);
  if (step === undefined) return false;
  const siblings = [...(currentTarget.parentElement?.querySelectorAll<SVGGElement>('.leaf') ?? [])];
  siblings[(siblings.indexOf(currentTarget) + step + count) % count]?.focus();
  return true;
}

function countsOf(links: readonly Link[], index: number): string {
  const reaches = links.filter(({ from, to, ports }) => from === index && to !== index && ports.length > 0).length;
  const reached = links.filter(({ from, to, ports }) => to === index && from !== index && ports.length > 0).length;
  return `reaches ${reaches}, reached by ${reached}`;
}
