import type { Logger } from 'pino';
import { objectKey, type Pod } from '../kube/pod.ts';
import type { PodHooks } from '../rules/pod.ts';
import { findPodInterfaces, type PodInterface } from '../dataplane/podInterfaces.ts';

/** How long new ones are waited for when they have been quiet. Until they are found nothing but the lock of their sources is missing. */
const PATIENCE_MS = 300;

const ADOPTED = 'adopted';

export interface AdoptedPod {
  readonly pod: Pod;
  readonly hooks: PodHooks;
}

/**
 * The pods that were there before the plugin was, or whose records are lost: only the source tells of them. They are hooked in by the addresses
 * that it shows; their interfaces are looked for, so that their sources can be locked too.
 */
export class AdoptedPods {
  readonly #log: Logger;
  #addresses = '';
  #complaint: string | undefined;
  #interfaces: ReadonlyMap<string, PodInterface> = new Map();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Returns how to hook these pods in. Looks for interfaces when they are others than before, or when told to. */
  async update(pods: readonly Pod[], { look }: { readonly look: boolean }): Promise<readonly AdoptedPod[]> {
    const addresses = pods.flatMap((pod) => pod.addresses);
    const areOthers = addresses.join() !== this.#addresses;
    if (addresses.length > 0 && (areOthers || look))
      this.#interfaces = await this.#find(addresses, { patienceMs: areOthers ? PATIENCE_MS : 0 });
    this.#addresses = addresses.join();
    const adopted = adopt(pods, this.#interfaces);
    if (areOthers) this.#tell(adopted);
    return adopted;
  }

  /** Whatever keeps them from being found keeps no pod open: its addresses hook it in. */
  async #find(
    addresses: readonly string[],
    options: { readonly patienceMs: number },
  ): Promise<ReadonlyMap<string, PodInterface>> {
    try {
      const found = await findPodInterfaces(addresses, options);
      this.#complaint = undefined;
      return found;
    } catch (error) {
      const complaint = error instanceof Error ? error.message : String(error);
      if (complaint !== this.#complaint)
        this.#log.warn(
          { err: error },
          'Cannot look for the interfaces of pods that the plugin did not add: install "iproute2"',
        );
      this.#complaint = complaint;
      return this.#interfaces;
    }
  }

  #tell(adopted: readonly AdoptedPod[]): void {
    const unlocked = adopted.filter(({ hooks }) => hooks.hostInterface === undefined);
    const pods = adopted.map(({ pod }) => objectKey(pod));
    this.#log.info(
      { pods, withoutInterface: unlocked.map(({ pod }) => objectKey(pod)) },
      'Took over pods that the plugin did not add',
    );
  }
}

/** Returns how to hook pods in, given the interfaces at which their addresses were found. */
export function adopt(pods: readonly Pod[], interfaces: ReadonlyMap<string, PodInterface>): readonly AdoptedPod[] {
  const found = pods.map((pod) => ({ pod, at: interfaceOf(pod, interfaces) }));
  const owners = Map.groupBy(found, ({ at }) => at?.hostInterface);
  return found.map(({ pod, at }) => ({
    pod,
    // One that two pods claim is no one's: a pod may answer for another's address.
    hooks: hooksOf(pod, at !== undefined && owners.get(at.hostInterface)?.length === 1 ? at : undefined),
  }));
}

/** Returns the one interface behind which all of the pod's addresses were found that were found at all. */
function interfaceOf(pod: Pod, interfaces: ReadonlyMap<string, PodInterface>): PodInterface | undefined {
  const all = pod.addresses.flatMap((address) => interfaces.get(address) ?? []);
  const [first] = all;
  return all.every(({ hostInterface }) => hostInterface === first?.hostInterface) ? first : undefined;
}

function hooksOf(pod: Pod, at: PodInterface | undefined): PodHooks {
  return {
    // What no attachment is called: an interface's name has no slash (CNI spec, section 2).
    containerId: ADOPTED,
    ifName: `${objectKey(pod)}/${pod.uid ?? ''}`,
    namespace: pod.namespace,
    name: pod.name,
    addresses: pod.addresses,
    hostInterface: at?.hostInterface,
    bridged: at?.bridged ?? false,
  };
}

/** Tells whether nobody but the source told of the pod. */
export function isAdopted({ containerId, ifName }: PodHooks): boolean {
  return containerId === ADOPTED && ifName.includes('/');
}
