/** How a run of an iptables program failed; a CommandError is one. */
export interface IptablesFailure {
  readonly exitCode: number | undefined;
  readonly stderr: string;
}

/**
 * Tells whether another writer was in the way, so that the same input may succeed a little later: the legacy lock was held, or the kernel told
 * the nft variant that its view of the ruleset is outdated (EAGAIN).
 */
export function isBusy({ exitCode, stderr }: IptablesFailure): boolean {
  // Who waited for the lock and then failed otherwise has told of the lock too.
  return exitCode === RESOURCE_PROBLEM && /Resource temporarily unavailable|holding the xtables lock/.test(stderr);
}

// iptables, include/xtables.h, `enum xtables_exittype`.
const RESOURCE_PROBLEM = 4;

/**
 * Tells whether a chain that was named, read or led to does not exist. `iptables-nft` calls a chain that it cannot read "incompatible", be it
 * missing or filled by others; `iptables-legacy-restore` gives no reason at all, only the line's number.
 */
export function isMissingChain({ stderr }: IptablesFailure): boolean {
  return MISSING_CHAIN.test(stderr);
}

const MISSING_CHAIN =
  /No chain\/target\/match by that name|is incompatible, use 'nft' tool|Chain '\S+' does not exist|'\S+' is not a chain|Couldn't load target|line \d+ failed$/m;

/**
 * Tells whether iptables-nft could not even look, because the chain holds a rule of somebody else that it cannot read: nft, and programs that
 * speak netlink, write what it has no words for.
 */
export function isUnreadable({ stderr }: IptablesFailure): boolean {
  return /Parsing nftables rule failed|is incompatible, use 'nft' tool/.test(stderr);
}

/**
 * Tells whether the kernel does not hold what the input took for granted: a chain or rule is missing, a chain is there already, or one to be
 * deleted is still led to. The same input fails again; one made from a new look may not.
 */
export function isOutdated(failure: IptablesFailure): boolean {
  return isMissingChain(failure) || OUTDATED.test(failure.stderr);
}

const OUTDATED =
  /does a matching rule exist in that chain|Chain already exists|failed \((File exists|No such file or directory|Device or resource busy)\)|Parsing nftables rule failed/;
