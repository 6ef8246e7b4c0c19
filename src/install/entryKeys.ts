import { decodeConfig, type JsonObject } from '../cni/config.ts';
import { PLUGIN_TYPE } from './conflist.ts';

/** Our entry's keys besides `type`. */
export type EntryKeys = JsonObject;

/** Returns why the plugin would refuse these keys at every ADD, by its own decoder; nothing when it takes them. */
export function keyProblems(keys: EntryKeys): readonly string[] {
  return decodeConfig({ name: 'any', ...keys, type: PLUGIN_TYPE }).problems.map(({ text }) => text);
}
