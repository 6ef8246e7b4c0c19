import { CniError } from './errors.ts';

/** The versions of the CNI spec that are spoken here, oldest first. */
const SUPPORTED_VERSIONS = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

export type CniVersion = (typeof SUPPORTED_VERSIONS)[number];

/** What is answered in when the caller's version is not known. */
export const NEWEST_VERSION: CniVersion = '1.1.0';

/** Tells whether a configuration's `cniVersion` is spoken here. */
export function isSupported(version: unknown): version is CniVersion {
  return SUPPORTED_VERSIONS.some((supported) => supported === version);
}

/**
 * Returns the version of a configuration. Throws a CniError for one that is not spoken here; without `cniVersion` it is of 0.1.0
 * (spec-v0.2.0, "Network Configuration").
 */
export function requireVersion(version: unknown): CniVersion {
  if (isSupported(version)) return version;
  const found = version === undefined ? 'there is no cniVersion' : `cniVersion is ${JSON.stringify(version)}`;
  throw new CniError('incompatibleVersion', {
    msg: `Cannot speak this version of CNI: ${found}`,
    details: `cniVersion must be one of ${SUPPORTED_VERSIONS.join(', ')}`,
  });
}

/** Throws a CniError when a command came with a version of the spec that does not have it. */
export function requireCommand(
  command: string,
  { version, since }: { readonly version: CniVersion; readonly since: CniVersion },
): void {
  if (SUPPORTED_VERSIONS.indexOf(version) >= SUPPORTED_VERSIONS.indexOf(since)) return;
  throw new CniError('incompatibleVersion', {
    msg: `Cannot run ${command}: version ${version} of CNI does not have it`,
    details: `${command} needs a cniVersion of ${since} or later`,
  });
}

/** Returns the answer to VERSION (CNI spec, section 5, "VERSION Success"): the caller's own version comes back with it. */
export function versionResult(cniVersion: unknown): string {
  const echoed =
    typeof cniVersion === 'string' && /^\d{1,5}\.\d{1,5}\.\d{1,5}$/.test(cniVersion) ? cniVersion : NEWEST_VERSION;
  return JSON.stringify({ cniVersion: echoed, supportedVersions: SUPPORTED_VERSIONS });
}
