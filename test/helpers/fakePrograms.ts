import { writeFileSync } from 'node:fs';
import { TemporaryDirectory } from './temporaryDirectory.ts';

/** A PATH on which nothing is but these programs, which shell scripts stand in for; it goes with `using`. */
export class FakePrograms implements Disposable {
  readonly #directory = new TemporaryDirectory();
  readonly env: { readonly PATH: string } = { PATH: this.#directory.path };

  /** @param scripts by program, in the words of a shell that finds no programs */
  constructor(scripts: Readonly<Record<string, string>>) {
    for (const [program, script] of Object.entries(scripts))
      writeFileSync(this.#directory.file(program), `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  }

  [Symbol.dispose](): void {
    this.#directory[Symbol.dispose]();
  }
}

/** An nft that lists these tables. */
export function nftScript(...tables: readonly string[]): string {
  const lines = tables.map((table) => `echo 'table ${table}'`);
  return `[ "$*" = --version ] && echo 'nftables v1.0.6 (Lester Gooch #5)' && exit\n[ "$*" = 'list tables' ] || exit 99\n${lines.join('\n')}\nexit 0`;
}
