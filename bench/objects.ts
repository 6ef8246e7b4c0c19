import type { Lab } from '../test/lab/lab.ts';
import type { Manifest } from '../test/lab/manifests.ts';

/** Where the agent looks, as a part changes it. All times are `monotonicMs`. */
export interface Objects {
  /** Puts many objects in place; `name` is anything, and the same name replaces what was loaded under it. */
  load(name: string, objects: readonly Manifest[]): Promise<void>;
  /** Removes what was loaded under a name. */
  unload(name: string, objects: readonly Manifest[]): Promise<void>;
  /** Puts one object in place and returns when that was. */
  put(object: Manifest): Promise<number>;
  /** Removes one object and returns when that was. */
  delete(object: Manifest): Promise<number>;
}

/** The lab's directory of manifests: what is loaded together is one file. */
export function directoryObjects({ manifests }: Lab): Objects {
  return {
    load: async (name, items) => {
      manifests.write(`${name}.json`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
      return Promise.resolve();
    },
    unload: async (name) => {
      manifests.remove(`${name}.json`);
      return Promise.resolve();
    },
    put: async (object) => Promise.resolve(manifests.apply(object)),
    delete: async (object) => Promise.resolve(manifests.delete(object)),
  };
}
