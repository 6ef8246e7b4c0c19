/** A place on the circle: where a leaf stands, and how its label is turned so that it reads outwards and never upside down. */
export interface Spot {
  readonly x: number;
  readonly y: number;
  readonly degrees: number;
  readonly isLeft: boolean;
}

/** A stretch of the circle that belongs together, as an SVG path. */
export interface Arc {
  readonly name: string;
  readonly path: string;
}

/** How much room is between two sections, in places. */
const GAP = 1.2;

/** Returns places around the circle for leaves that belong to these sections, equal names next to each other. The first is at the top. */
export function spotsOf(sections: readonly string[], radius: number): readonly Spot[] {
  return anglesOf(sections).map((angle) => spotAt(angle, radius));
}

/** Returns an arc for each section. */
export function arcsOf(sections: readonly string[], radius: number): readonly Arc[] {
  const angles = anglesOf(sections);
  const half = (step(sections) * 0.8) / 2;
  const indexes = Map.groupBy(sections.keys(), (index) => sections[index] ?? '');
  return [...indexes].map(([name, of]) => {
    const [from, to] = [(angles[of[0] ?? 0] ?? 0) - half, (angles[of.at(-1) ?? 0] ?? 0) + half];
    const [a, b] = [spotAt(from, radius), spotAt(to, radius)];
    const isLarge = to - from > Math.PI ? 1 : 0;
    return { name, path: `M${point(a)}A${radius},${radius} 0 ${isLarge} 1 ${point(b)}` };
  });
}

/** Returns the curve from one spot to another, bent towards the middle; from a spot to itself a loop. */
export function curve(from: Spot, to: Spot): string {
  if (from === to) return `M${point(from)}C${near(from, 0.72, -0.16)} ${near(from, 0.72, 0.16)} ${point(to)}`;
  return `M${point(from)}C${near(from, 0.4, 0)} ${near(to, 0.4, 0)} ${point(to)}`;
}

function near({ x, y }: Spot, share: number, turn: number): string {
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  return point({ x: share * (x * cos - y * sin), y: share * (x * sin + y * cos) });
}

function point({ x, y }: Pick<Spot, 'x' | 'y'>): string {
  return `${x.toFixed(1)},${y.toFixed(1)}`;
}

function anglesOf(sections: readonly string[]): readonly number[] {
  let place = GAP / 2;
  return sections.map((name, index) => {
    if (index > 0) place += name === sections[index - 1] ? 1 : 1 + GAP;
    return place * step(sections) - Math.PI / 2;
  });
}

function step(sections: readonly string[]): number {
  return (2 * Math.PI) / Math.max(1, sections.length + GAP * new Set(sections).size);
}

function spotAt(angle: number, radius: number): Spot {
  const isLeft = Math.cos(angle) < -1e-9;
  const degrees = (angle * 180) / Math.PI + (isLeft ? 180 : 0);
  return { x: radius * Math.cos(angle), y: radius * Math.sin(angle), degrees, isLeft };
}
