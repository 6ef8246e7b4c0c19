import { existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Makes a directory of links to all programs of a PATH but those of these names, and returns it: a PATH as where they are not installed. */
export function pathWithout(
  names: RegExp,
  { path, directory }: { readonly path: string; readonly directory: string },
): string {
  mkdirSync(directory);
  // The first of a name is the one that is found.
  const places = new Map(path.split(':').toReversed().flatMap(programsIn));
  for (const [name, file] of places) if (!names.test(name)) symlinkSync(file, join(directory, name));
  return directory;
}

function programsIn(directory: string): readonly (readonly [name: string, file: string])[] {
  return existsSync(directory) ? readdirSync(directory).map((name) => [name, join(directory, name)] as const) : [];
}
