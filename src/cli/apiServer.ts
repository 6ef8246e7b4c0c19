import type { Environment } from '../dataplane/tools.ts';
import type { ApiConnection } from '../source/api/connection.ts';
import { connect } from '../source/api/kubeConfig.ts';

/** Returns a connection to the API server that a command was told of, or else to that of the cluster that this process is a pod of. Throws an Error. */
export async function connectApiServer(kubeconfig: string | undefined, env: Environment): Promise<ApiConnection> {
  if (kubeconfig === undefined && env['KUBERNETES_SERVICE_HOST'] === undefined)
    throw new Error('Cannot find the API server: this process is no pod of a cluster; give --kubeconfig');
  return await connect(kubeconfig);
}
