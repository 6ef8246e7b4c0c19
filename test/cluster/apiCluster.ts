import { ProductCluster, type ClusterOptions } from '../kernel/cluster.ts';
import type { Lab } from '../lab/lab.ts';
import { disagreements, matrix, type MatrixOptions, type Party } from '../lab/matrix.ts';
import { ControlPlane, type ControlPlaneOptions } from './controlPlane.ts';

export interface ApiClusterOptions extends Omit<ClusterOptions, 'objects'>, ControlPlaneOptions {}

/** A lab whose pods are objects of a real API server, with an agent of the product on each node that watches it. */
export class ApiCluster {
  readonly lab: Lab;
  readonly api: ControlPlane;
  /** Its agents. */
  readonly product: ProductCluster;

  private constructor(product: ProductCluster, api: ControlPlane) {
    this.lab = product.lab;
    this.api = api;
    this.product = product;
  }

  /** Starts it with two nodes, if not told otherwise. */
  static async start({ balanced = false, inCluster = false, ...options }: ApiClusterOptions = {}): Promise<ApiCluster> {
    const started = Promise.withResolvers<ControlPlane>();
    const product = await ProductCluster.start({
      nodes: 2,
      ...options,
      objects: async (site) => {
        const api = await ControlPlane.start(site, { balanced, inCluster });
        started.resolve(api);
        return api;
      },
    });
    return new ApiCluster(product, await started.promise);
  }

  /** Tries every flow between the parties once all nodes are in step, and returns a line for each that is not as `evaluate` says of what the API server holds. */
  async wrongs(parties: readonly Party[], options: MatrixOptions): Promise<readonly string[]> {
    await this.lab.sync();
    const cells = await matrix({ from: parties, to: parties }, options);
    return disagreements(cells, await this.api.cluster());
  }

  [Symbol.dispose](): void {
    this.lab.stop();
  }
}
