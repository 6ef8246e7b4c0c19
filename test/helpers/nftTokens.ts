import { RefusedError } from './restoreTable.ts';

/** A word, a quoted string (without its quotes) or a mark of nft text. A line's end is the mark `\n`. */
export interface Token {
  readonly kind: 'word' | 'string' | 'mark';
  readonly text: string;
  readonly line: number;
}

const TOKEN = /[ \t]+|#[^\n]*|"([^"]*)"|(\n|==|!=|[{};,=&|()^<>!])|([^\s"#{};,=&|()^<>!]+)/y;

/** Returns the tokens of nft text, without what stands behind a `#`. Throws an `Error` where none begins. */
function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let line = 1;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const [whole, quoted, mark, word] = TOKEN.exec(text) ?? [];
    if (whole === undefined) throw new Error(`Cannot read nft text: line ${line} at "${text.slice(at, at + 20)}"`);
    if (quoted !== undefined) tokens.push({ kind: 'string', text: quoted, line });
    if (mark !== undefined) tokens.push({ kind: 'mark', text: mark, line });
    if (word !== undefined) tokens.push({ kind: 'word', text: word, line });
    line += whole.split('\n').length - 1;
  }
  return tokens;
}

/** Reads tokens from left to right. What it does not find where it must be is an `Error`. */
export class NftReader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokensOf(text);
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  /** The line of the next token. */
  get line(): number {
    return (this.#tokens[this.#at] ?? this.#tokens.at(-1))?.line ?? 1;
  }

  /** Returns the text of a token ahead if it is a word or a mark, or `undefined`. */
  peek(ahead = 0): string | undefined {
    const token = this.#tokens[this.#at + ahead];
    return token?.kind === 'string' ? undefined : token?.text;
  }

  next(): Token {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw new Error('Cannot read nft text: it ends too early');
    this.#at += 1;
    return token;
  }

  /** Returns the next word. */
  word(): string {
    const token = this.next();
    if (token.kind !== 'word') throw new Error(`Cannot read nft text: ${describe(token)} where a word is expected`);
    return token.text;
  }

  /** Returns the next word or quoted string. */
  string(): string {
    const token = this.next();
    if (token.kind === 'mark') throw new Error(`Cannot read nft text: ${describe(token)} where a string is expected`);
    return token.text;
  }

  /** Moves behind these words or marks if they come next, all of them, and tells whether they did. */
  take(...texts: readonly string[]): boolean {
    const areThere = texts.every((text, index) => this.peek(index) === text);
    if (areThere) this.#at += texts.length;
    return areThere;
  }

  expect(text: string): void {
    if (!this.take(text)) throw new Error(`Cannot read nft text: ${describe(this.next())} where "${text}" is expected`);
  }

  /** Tells whether a command or a line of a block ends here. */
  get isAtSeparator(): boolean {
    return this.isAtEnd || this.peek() === '\n' || this.peek() === ';';
  }

  /** Moves behind all line ends and semicolons. */
  skipSeparators(): void {
    while (this.take('\n') || this.take(';'));
  }

  /** Moves behind all line ends: within `{ a, b }` they mean nothing. */
  skipLines(): void {
    while (this.take('\n'));
  }

  /** Throws a RefusedError unless a line of a block ends here: nft wants that also before its `}`. */
  endLine(): void {
    const found = this.peek();
    if (found === '}') throw new RefusedError("syntax error, unexpected '}', expecting newline or semicolon");
    if (!this.isAtSeparator) throw new Error(`Cannot read nft text: ${describe(this.next())} where a line should end`);
    this.skipSeparators();
  }
}

function describe({ text, line }: Token): string {
  return `line ${line}, "${text === '\n' ? String.raw`\n` : text}"`;
}
