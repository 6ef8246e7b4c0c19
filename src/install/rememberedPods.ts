import { Buffer } from 'node:buffer';
import { existsSync } from 'node:fs';
import { listNames, readJsonIfAny } from '../files/readIfAny.ts';
import { PLUGIN_TYPE } from './conflist.ts';

/**
 * Returns how many pods will call the plugin once more. CRI-O takes a pod down by the conflist that the pod was made with, which libcni has kept
 * (ocicni, `loadNetworkFromCache`): without the executable that pod could never go. containerd takes the conflist of the day. `root` is where
 * `/run` and `/var` are.
 */
export function countRememberedPods(root = ''): number {
  if (!existsSync(`${root}/run/crio/crio.sock`)) return 0;
  const results = `${root}/var/lib/cni/results`;
  return listNames(results).filter((name) => isOurs(readJsonIfAny(`${results}/${name}`))).length;
}

function isOurs(cached: unknown): boolean {
  if (typeof cached !== 'object' || cached === null || !('config' in cached)) return false;
  const { config } = cached;
  return typeof config === 'string' && Buffer.from(config, 'base64').includes(`"${PLUGIN_TYPE}"`);
}
