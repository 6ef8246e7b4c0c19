import type { Leaf, Link } from '../page/links.ts';

interface GraphWordsProps {
  readonly leaves: readonly Leaf[];
  readonly links: readonly Link[];
  readonly chosen: number;
  readonly isDone: boolean;
}

/** The graph in words: of one leaf whom it reaches and who reaches it, or how to choose one. */
export function GraphWords({ leaves, links, chosen, isDone }: GraphWordsProps) {
  const leaf = leaves[chosen];
  if (leaf === undefined)
    return (
      <aside class="graph-words" aria-label="Connections">
        <p role="status">
          {isDone
            ? 'Choose pods on the circle to see whom they reach, and who reaches them.'
            : 'Looking at every pair …'}
        </p>
      </aside>
    );
  const others = links.filter(({ from, to, ports }) => from !== to && ports.length > 0);
  return (
    <aside class="graph-words" aria-label="Connections">
      <h2>{leaf.name}</h2>
      <Side
        title="reaches"
        kind="out"
        links={others.filter(({ from }) => from === chosen)}
        nameOf={({ to }) => leaves[to]?.name}
      />
      <Side
        title="is reached by"
        kind="in"
        links={others.filter(({ to }) => to === chosen)}
        nameOf={({ from }) => leaves[from]?.name}
      />
    </aside>
  );
}

interface SideProps {
  readonly title: string;
  readonly kind: 'out' | 'in';
  readonly links: readonly Link[];
  readonly nameOf: (link: Link) => string | undefined;
}

/** More ports than this are counted. */
const MOST_PORTS = 4;

function Side({ title, kind, links, nameOf }: SideProps) {
  return (
    <section>
      <h3 class={kind}>
        {title} {links.length === 0 ? 'nobody' : links.length}
      </h3>
      <ul>
        {links.map((link) => (
          <li key={`${link.from} ${link.to}`}>
            {nameOf(link)} <span class="ports">{portsText(link.ports)}</span>
            {link.change !== undefined && <em class={link.change}> {link.change}</em>}
          </li>
        ))}
      </ul>
    </section>
  );
}

function portsText(ports: readonly string[]): string {
  const more = ports.length - MOST_PORTS;
  return `${ports.slice(0, MOST_PORTS).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
