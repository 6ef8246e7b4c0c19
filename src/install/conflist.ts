import { isSupported } from '../cni/version.ts';
import { isObject } from '../cni/input.ts';
import type { JsonObject } from '../cni/config.ts';
import { quote } from '../net/quote.ts';
import { elementsAt, membersAt, valueAt, type Span } from './jsonText.ts';

/** A network configuration cannot be used or edited as it is. The message follows the file's path. */
export class ConflistError extends Error {
  override readonly name = 'ConflistError';
}

/** The name under which the runtime finds our executable. */
export const PLUGIN_TYPE = 'kube-nwplcy';

/** A plugin's part of a conflist, and where it stands in the text. */
export interface ListedPlugin {
  readonly type: string;
  readonly fields: JsonObject;
  readonly span: Span;
}

/** A list of network configurations (CNI spec, section 1, "Network configuration format"), and where its list of plugins stands in the text. */
export interface Conflist {
  readonly text: string;
  readonly name: string;
  readonly list: Span;
  readonly plugins: readonly ListedPlugin[];
}

/**
 * Returns what a conflist's text holds. It must name the network and at least one plugin, by a `cniVersion` that is spoken here: the plugins of
 * one list share it, and a runtime takes the newest that it knows of `cniVersions`. Throws a ConflistError.
 */
export function parseConflist(text: string): Conflist {
  const fields = parseObject(text);
  requireVersions(fields);
  const { name, plugins } = fields;
  if (typeof name !== 'string' || name === '') throw new ConflistError('Cannot use it: "name" is missing');
  if (!Array.isArray(plugins) || plugins.length === 0) {
    throw new ConflistError('Cannot use it: "plugins" must be a list of at least one plugin');
  }
  const list = spanOf(text, 'plugins');
  const spans = elementsAt(text, list.start);
  return { text, name, list, plugins: spans.map((span, index) => listedPlugin(text, { span, index })) };
}

/** Returns the object that a text holds. Throws a ConflistError for what is no JSON, no object, or has a key twice, of which others may read either. */
export function parseObject(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ConflistError(`Cannot read it as JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isObject(value)) throw new ConflistError('Cannot use it: a JSON object is expected');
  requireOnce(text, valueAt(text, 0));
  return value;
}

/** Throws a ConflistError unless every version that a runtime may choose is spoken here (CNI spec 1.1.0, section 1, "cniVersions"). */
export function requireVersions({ cniVersion, cniVersions }: JsonObject): void {
  const others: readonly unknown[] = Array.isArray(cniVersions) ? cniVersions : [];
  const versions = cniVersion === undefined && others.length > 0 ? others : [cniVersion, ...others];
  const unknown = versions.filter((version) => !isSupported(version));
  if (unknown.length === 0) return;
  const shown = unknown
    .map((version) =>
      version === undefined ? 'missing' : typeof version === 'string' ? quote(version) : JSON.stringify(version),
    )
    .join(', ');
  throw new ConflistError(
    `Cannot use it: cniVersion is ${shown}; kube-nwplcy speaks 0.3.1, 0.4.0, 1.0.0 and 1.1.0: set one that your other plugins speak too`,
  );
}

function listedPlugin(text: string, { span, index }: { readonly span: Span; readonly index: number }): ListedPlugin {
  const fields: unknown = JSON.parse(text.slice(span.start, span.end));
  if (!isObject(fields)) throw new ConflistError(`Cannot use it: plugins[${index}] must be an object`);
  requireOnce(text, span);
  const { type } = fields;
  if (typeof type !== 'string' || type === '')
    throw new ConflistError(`Cannot use it: plugins[${index}].type is missing`);
  return { type, fields, span };
}

function requireOnce(text: string, { start }: Span): void {
  const keys = membersAt(text, start).map(({ key }) => key);
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (twice !== undefined) throw new ConflistError(`Cannot edit it: the key ${quote(twice)} stands there twice`);
}

function spanOf(text: string, key: string): Span {
  const member = membersAt(text, valueAt(text, 0).start).find((known) => known.key === key);
  if (member === undefined) throw new ConflistError(`Cannot use it: ${quote(key)} is missing`);
  return member.value;
}
