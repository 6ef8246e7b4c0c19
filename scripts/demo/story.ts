import { matrixText, SYMBOLS, type Reachability } from './matrixText.ts';
import type { Paint } from './paint.ts';

const INDENT = '   ';

/** Tells the demo on standard output: numbered steps, each with a line of explanation. */
export class Story {
  readonly paint: Paint;
  #steps = 0;
  #previous: Reachability | undefined;

  constructor(paint: Paint) {
    this.paint = paint;
  }

  heading(text: string): void {
    this.#write('', this.paint('bold', text));
  }

  step(title: string, explanation: string): void {
    this.#write('', this.paint('bold', `${++this.#steps}  ${title}`), `${INDENT}${explanation}`);
  }

  lines(...lines: readonly string[]): void {
    this.#write(...lines.map((line) => (line === '' ? '' : `${INDENT}${line}`)));
  }

  /** For what one may skip. */
  aside(text: string): void {
    this.lines(this.paint('gray', text));
  }

  /** Shows a matrix; what changed since the last one stands out. The first has the symbols explained, `marks` being what a cell's are for. */
  matrix(reachability: Reachability, marks: string): void {
    const { paint } = this;
    this.lines('', ...matrixText(reachability, { previous: this.#previous, paint }), '');
    if (this.#previous === undefined) this.#explainSymbols(marks);
    this.#previous = reachability;
  }

  #explainSymbols(marks: string): void {
    const { open, closed } = SYMBOLS;
    this.lines(
      `Rows call columns. The marks of a cell are for ${marks}:`,
      `${this.paint('green', open)} got through, ${this.paint('gray', closed)} refused. ${this.paint('bold', '[ ]')} around a cell: it changed with this step.`,
    );
  }

  #write(...lines: readonly string[]): void {
    process.stdout.write(lines.map((line) => `${line}\n`).join(''));
  }
}
