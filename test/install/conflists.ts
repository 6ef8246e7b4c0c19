import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

// The shapes that networks write on their nodes, with their own indentation, order and ends of line, cut short where the content tells nothing.
const DIRECTORY = join(import.meta.dirname, 'conflists');

/** Returns the text of one of the conflists by its file's name. */
export function conflistText(name: string): string {
  return readFileSync(join(DIRECTORY, name), 'utf8');
}

/** The files' names. */
export const CONFLIST_NAMES: readonly string[] = readdirSync(DIRECTORY).toSorted();
