import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Attachment, CniResult, Conflist } from './cniRuntime.ts';
import { output, type Run } from './run.ts';

/** What attaches pods: `CniRuntime`, or the reference implementation behind the same verbs. */
export interface PodAttacher {
  add(attachment: Attachment): Promise<CniResult>;
  del(attachment: Attachment): Promise<void>;
  check(attachment: Attachment): Promise<void>;
}

/**
 * Returns a `PodAttacher` that runs cnitool, and so libcni itself. It chooses container ids of its own, by the path of the namespace, and follows
 * a failed ADD by nothing. `directory` gets the conflist.
 */
export function cnitoolAttacher(executable: string, { run, path, directory, conflist }: CnitoolOptions): PodAttacher {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, `${conflist.name}.conflist`), JSON.stringify(conflist));
  async function cnitool(verb: 'add' | 'del' | 'check', { netns, ifName, args, capabilityArgs }: Attachment) {
    const env = {
      CNI_PATH: path.join(':'),
      NETCONFPATH: directory,
      CNI_IFNAME: ifName,
      CNI_ARGS: Object.entries(args)
        .map(([key, value]) => `${key}=${value}`)
        .join(';'),
      CAP_ARGS: JSON.stringify(capabilityArgs ?? {}),
    };
    return output(run, [executable, verb, conflist.name, netns], { env });
  }
  return {
    add: async (attachment) => JSON.parse(await cnitool('add', attachment)) as CniResult,
    del: async (attachment) => void (await cnitool('del', attachment)),
    check: async (attachment) => void (await cnitool('check', attachment)),
  };
}

interface CnitoolOptions {
  readonly run: Run;
  readonly path: readonly string[];
  readonly directory: string;
  readonly conflist: Conflist;
}
