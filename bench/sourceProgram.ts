import { memoryUsage } from 'node:process';
import { apiServerSource } from '../src/source/api/apiServerSource.ts';
import { connect } from '../src/source/api/kubeConfig.ts';
import { monotonicMs } from '../test/lab/probe/clock.ts';
import { serve } from './remote.ts';

// The source of an agent and nothing behind it, in a process of its own: what it costs to follow all pods of a cluster.

export interface SourceProgramApi {
  /** Follows the API server of a kubeconfig file; returns how long the first list took, in milliseconds, once everything is known. */
  follow(kubeconfig: string): Promise<number>;
  /** Returns how many pods are known, and the used heap in MB. */
  known(request: null): { readonly pods: number; readonly heapMegabytes: number };
  pid(request: null): number;
}

let known: () => number = () => 0;

serve<SourceProgramApi>({
  async follow(kubeconfig) {
    const connection = await connect(kubeconfig);
    const warn = (message: string) => process.stderr.write(`${message}\n`);
    const source = apiServerSource({ connection, nodeName: 'node-1', pods: 'all', shareAddresses: true, warn });
    known = () => source.state().cluster.pods.size;
    const started = monotonicMs();
    await new Promise<void>((resolve, reject) => {
      const look = () => {
        source.takeChanges();
        if (source.state().inSync) resolve();
      };
      source.start(look).then(look, reject);
    });
    return monotonicMs() - started;
  },
  known: () => ({ pods: known(), heapMegabytes: memoryUsage().heapUsed / 2 ** 20 }),
  pid: () => process.pid,
});
