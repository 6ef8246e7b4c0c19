import type { JsonObject } from '../cni/config.ts';
import { quote } from '../net/quote.ts';
import { ConflistError, parseObject, requireVersions } from './conflist.ts';

/** Where the file stays that a conflist was made of. No runtime reads it: they take `.conf`, `.conflist` and `.json` (libcni, `ConfFiles`). */
export const SAVED_SUFFIX = '.kube-nwplcy-saved';

/**
 * Returns the conflist that says the same as a network configuration of a single plugin, which is what a runtime makes of it for itself (libcni,
 * `ConfListFromConf`): the plugin as it is, and its name and version once more for the list. Throws a ConflistError.
 */
export function conflistOf(text: string): string {
  const fields = parseObject(text);
  if ('plugins' in fields)
    throw new ConflistError(
      'Cannot use it: it is a list, and runtimes read one only by a name that ends with .conflist',
    );
  requireVersions(fields);
  for (const key of ['name', 'type']) requireText(fields, key);
  const unit = /^[ \t]+(?=")/m.exec(text)?.[0] ?? '  ';
  // A newline is never inside of a string of JSON.
  const plugin = text.trim().replaceAll('\n', `\n${unit}${unit}`);
  const lifted = ['cniVersion', 'cniVersions', 'name'].filter((key) => fields[key] !== undefined);
  const lines = lifted.map((key) => `${unit}"${key}": ${JSON.stringify(fields[key])},\n`);
  return `{\n${lines.join('')}${unit}"plugins": [\n${unit}${unit}${plugin}\n${unit}]\n}\n`;
}

/** Returns the name of the file that a converted configuration gets. */
export function conflistName(name: string): string {
  return name.replace(/\.(conf|json)$/, '.conflist');
}

function requireText(fields: JsonObject, key: string): void {
  const value = fields[key];
  if (typeof value !== 'string' || value === '') throw new ConflistError(`Cannot use it: ${quote(key)} is missing`);
}
