import { changesBetween, NO_OBJECTS, type Cluster } from '../../src/kube/cluster.ts';
import type { Source } from '../../src/source/source.ts';

/** Returns a source that is in sync and holds what the function returns. */
export function clusterSource(cluster: () => Cluster): Source {
  let taken = NO_OBJECTS;
  return {
    state: () => ({ inSync: true, cluster: cluster(), problems: [], away: undefined }),
    takeChanges: () => {
      const changes = changesBetween(taken, cluster());
      taken = cluster();
      return changes;
    },
    start: async () => {},
    refresh: async () => {},
    stop: async () => {},
  };
}
