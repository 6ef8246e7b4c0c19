import packageJson from '../package.json' with { type: 'json' };

/** The commit that `make build` packed; the build puts it here, and the sources as they are have none. */
declare const BUILD_COMMIT: string | undefined;

const commit = typeof BUILD_COMMIT === 'undefined' ? 'none: run from source' : BUILD_COMMIT;

/** What `--version` prints, without the program's name: `0.1.0 (commit 1a2b3c4d5e6f, node v26.10.0)`. */
export const VERSION = `${packageJson.version} (commit ${commit}, node ${process.version})`;
