import { readFileIfAny } from '../files/readIfAny.ts';
import type { IpFamily } from '../net/family.ts';

const FILES = { ipv4: 'ip_tables_names', ipv6: 'ip6_tables_names' } as const satisfies Record<IpFamily, string>;

/** Returns the tables of iptables-legacy that have been in use in this network namespace; `undefined` where only root may see. */
export function legacyTables(family: IpFamily): readonly string[] | undefined {
  try {
    // The file comes with the module.
    const text = readFileIfAny(`/proc/net/${FILES[family]}`) ?? '';
    return text.split('\n').filter((name) => name !== '');
  } catch {
    return undefined;
  }
}
