import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { LAB_VARIABLE } from './leftovers.ts';
import { output, runner } from './run.ts';
import { netfilterSnapshot } from './snapshot.ts';

/** Returns what a lab must leave alone on this machine, for a comparison: links, rules, mounts, namespaces with a name. */
export async function machine() {
  const run = runner([], { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' });
  return {
    netns: await output(run, ['ip', 'netns', 'list']),
    links: await output(run, ['ip', '-brief', 'link']),
    rules: await netfilterSnapshot(run),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8'),
    forwarding: readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8'),
  };
}

/** Returns the ids of the processes that belong to the lab of this directory. */
export function processesOf(directory: string): readonly string[] {
  const marker = `${LAB_VARIABLE}=${basename(directory)}`;
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(marker);
    } catch {
      return false; // ended meanwhile
    }
  });
}
