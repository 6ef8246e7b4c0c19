import { BACKENDS, type Backend } from './backend.ts';
import { removeIptables, type RemovalOptions } from './iptables/removal.ts';
import { removeSets } from './iptables/setRemoval.ts';
import { IPTABLES_VARIANTS } from './iptables/sync.ts';
import { removeTables } from './nftables/removal.ts';
import type { Removed } from './removed.ts';

/**
 * Takes all that is ours out of the kernel, but for what belongs to the backend that is kept, and tells what each had. Goes on past failures. Nothing of
 * others' is read but the names of tables and chains, and FORWARD and OUTPUT for our own jump.
 */
export function removeFromKernel(
  options: RemovalOptions,
  { keep }: { readonly keep: Backend | undefined },
): readonly Removed[] {
  const gone = BACKENDS.filter((backend) => backend !== keep);
  const variants = IPTABLES_VARIANTS.filter((variant) => gone.includes(variant));
  const rules = removeIptables(variants, options);
  // Both worlds of iptables name the same sets, and rules that stayed may name any of them.
  const isLast = variants.length === IPTABLES_VARIANTS.length && rules.every(({ problem }) => problem === undefined);
  return [
    ...(gone.includes('nftables') ? [removeTables(options)] : []),
    ...rules,
    ...(isLast ? [removeSets(options)] : []),
  ];
}
