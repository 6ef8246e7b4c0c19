import type { Logger } from 'pino';
import type { Environment } from '../dataplane/tools.ts';
import { apiServerSource } from '../source/api/apiServerSource.ts';
import { PodEvents } from '../source/api/podEvents.ts';
import { directorySource } from '../source/directory.ts';
import type { Source } from '../source/source.ts';
import { connectApiServer } from './apiServer.ts';
import type { SourceChoice } from './sourceChoice.ts';

/** What the command line says about where objects come from, and what goes there. */
export interface AgentSourceOptions {
  readonly nodeName: string;
  readonly source: SourceChoice;
  readonly kubeconfig: string | undefined;
  readonly shareAddresses: boolean;
  readonly deniedEvents: boolean;
  readonly runtimeDir: string;
}

/** A source that was opened. */
export interface AgentSource {
  readonly source: Source;
  /** What people call it. */
  readonly name: string;
  /** Where Events go; `undefined` where none are wanted. */
  readonly events?: PodEvents | undefined;
}

/** Returns the source of an agent. Throws an Error that says what is missing. */
export async function openSource(
  { source, kubeconfig, shareAddresses, deniedEvents, nodeName, runtimeDir }: AgentSourceOptions,
  { env, log }: { readonly env: Environment; readonly log: Logger },
): Promise<AgentSource> {
  if (source.kind === 'directory') {
    const { path } = source;
    return { source: directorySource({ path, stateDir: `${runtimeDir}/manifests` }), name: `dir:${path}` };
  }
  const connection = await connectApiServer(kubeconfig, env);
  const warn = (message: string) => log.warn(message);
  return {
    source: apiServerSource({ connection, nodeName, pods: 'needed', shareAddresses, warn }),
    name: `kube:${connection.server}`,
    events: deniedEvents ? new PodEvents({ connection, nodeName }) : undefined,
  };
}
