import { printable } from '../net/quote.ts';
import { confNames, exists, readConfFile, type ConfFile } from './confDir.ts';
import { ConflistError, parseConflist, parseObject, PLUGIN_TYPE } from './conflist.ts';
import { conflistName, conflistOf, SAVED_SUFFIX } from './conversion.ts';
import { keyProblems, type EntryKeys } from './entryKeys.ts';
import { ourFields, withEntry, withoutEntry, type Edited } from './entry.ts';
import { isBridging, isEnforced, isUnseen, whyPassedOver } from './pluginTypes.ts';

/** The network that the runtime gives to pods: its file as it is, and the file that it shall be. */
export interface Network {
  /** The file's name in the directory. */
  readonly name: string;
  readonly file: ConfFile;
  /** The name that the conflist shall have: another one where a single plugin's configuration becomes a list. */
  readonly target: string;
  readonly edited: Edited;
  readonly bridging: boolean;
  readonly notes: readonly string[];
}

/** There is no network configuration in the directory. */
export class NoNetworkError extends Error {
  override readonly name = 'NoNetworkError';
}

/** A network's file cannot be used or edited. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError';

  constructor(path: string, cause: Error) {
    super(`${printable(path)}: ${cause.message}`, { cause });
  }
}

export interface NetworkOptions {
  /** The keys that our entry must have. */
  readonly keys: EntryKeys;
  /** Whether to go on where no packet would pass our chains. */
  readonly force: boolean;
}

/**
 * Returns the network that the runtime gives to pods, with our entry in it: the first of the directory's, or, where that one only
 * leads to other networks, the next. Writes nothing. Throws a NetworkError or NoNetworkError, and the file system's error.
 */
export function planNetwork(directory: string, options: NetworkOptions): Network {
  const notes: string[] = [];
  for (const name of confNames(directory)) {
    const path = `${directory}/${name}`;
    try {
      const file = readConfFile(path);
      const why = passedOver(name, file);
      if (why === undefined) {
        const network = plan(directory, { name, file, ...options });
        return { ...network, notes: [...notes, ...network.notes.map((note) => `${printable(path)}: ${note}`)] };
      }
      notes.push(`${printable(path)}: ${why}`);
    } catch (error) {
      throw error instanceof ConflistError ? new NetworkError(path, error) : error;
    }
  }
  const found =
    notes.length === 0
      ? 'it has no .conf, .conflist or .json file; install the cluster\'s network first, or wait for it with "--watch"'
      : `there is no other file; ${notes.join('; ')}`;
  throw new NoNetworkError(`Cannot find the network in "${printable(directory)}": ${found}`);
}

/** Returns why a file is not the one that gives pods their network, or `undefined` for any that may be. */
function passedOver(name: string, { text }: ConfFile): string | undefined {
  const type = name.endsWith('.conflist') ? parseConflist(text).plugins[0]?.type : parseObject(text)['type'];
  const why = whyPassedOver(type);
  if (why === undefined) return undefined;
  const isCopy = /"delegates"\s*:/.test(text) && !text.includes(`"${PLUGIN_TYPE}"`);
  return `passed over, "${String(type)}" ${why}${isCopy ? '; this file has a copy of it without kube-nwplcy: have it written anew' : ''}`;
}

interface Found extends NetworkOptions {
  readonly name: string;
  readonly file: ConfFile;
}

function plan(directory: string, { name, file, keys, force }: Found): Network {
  const target = conflistName(name);
  const wanted = target === name ? file.text : convertedText(directory, { name, text: file.text });
  const conflist = parseConflist(wanted);
  const unseen = conflist.plugins.find(isUnseen);
  if (unseen !== undefined && !force) {
    throw new ConflistError(
      `Cannot protect its pods: what "${unseen.type}" sends and receives passes no FORWARD chain of this node; "--force" adds kube-nwplcy all the same`,
    );
  }
  const edited = withEntry(wanted, keys);
  requireUsableEntry(edited.text);
  const enforced = conflist.plugins.filter(isEnforced);
  return {
    name,
    file,
    target,
    edited,
    bridging: conflist.plugins.some(isBridging),
    notes: enforced.map(
      ({ type }) => `"${type}" with "policy" enforces NetworkPolicy itself: what one of the two refuses is refused`,
    ),
  };
}

/** An entry that the plugin would refuse fails every ADD from now on. */
function requireUsableEntry(text: string): void {
  const problems = keyProblems(ourFields(text));
  if (problems.length > 0) throw new ConflistError(`Cannot use the entry of ${PLUGIN_TYPE}: ${problems.join('; ')}`);
}

/**
 * Returns the conflist for a single plugin's configuration. There may be one from an earlier run, when somebody wrote the configuration again: our
 * entry there stays as it is.
 */
function convertedText(directory: string, { name, text }: { readonly name: string; readonly text: string }): string {
  const converted = conflistOf(text);
  const target = conflistName(name);
  requireSamePlace(directory, { name, target });
  if (!exists(`${directory}/${target}`)) return converted;
  const present = readConfFile(`${directory}/${target}`).text;
  const saved = `${directory}/${name}${SAVED_SUFFIX}`;
  const isOfOurs = says(present, text) || (exists(saved) && says(present, readConfFile(saved).text));
  if (!isOfOurs)
    throw new ConflistError(
      `Cannot make a conflist of it: there is another "${target}"; remove the one that is not meant`,
    );
  const { type: _, ...keys } = ourFields(present);
  return withEntry(converted, keys).text;
}

/** Tells whether a conflist without our entry says what a single plugin's configuration does. */
export function says(conflist: string, conf: string): boolean {
  const meaning = (text: string) => JSON.stringify(JSON.parse(text));
  return meaning(withoutEntry(conflist).text) === meaning(conflistOf(conf));
}

/** With another extension the file sorts a little later: that must not make another one the first. */
function requireSamePlace(
  directory: string,
  { name, target }: { readonly name: string; readonly target: string },
): void {
  const others = confNames(directory).filter((other) => other !== name && other !== target);
  const between = others.find((other) => Buffer.compare(Buffer.from(other), Buffer.from(name)) > 0);
  if (between !== undefined && Buffer.compare(Buffer.from(between), Buffer.from(target)) < 0)
    throw new ConflistError(`Cannot make a conflist of it: "${between}" would then come first`);
}
