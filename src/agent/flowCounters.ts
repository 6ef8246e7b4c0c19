import { flowKey, type DeniedFlow } from '../rendezvous/deniedFlow.ts';

/** So many ends are told by name; the others are told together. */
const MOST_ENDS = 100;

/** Who stands for all ends beyond those. */
const OTHERS = 'other';

/** What was counted at one end. */
export interface EndCount {
  readonly audit: boolean;
  readonly direction: DeniedFlow['direction'];
  /** `namespace/name`, an address that is no pod's, or `other`. */
  readonly pod: string;
  readonly packets: number;
}

/**
 * Counters that only grow, from flows that the kernel forgets after a while: of each flow counts what came since the last look. What came and was
 * forgotten between two looks is missed.
 */
export class FlowCounters {
  readonly #counts = new Map<string, EndCount>();
  #known: ReadonlyMap<string, DeniedFlow> = new Map();

  /** Takes over what the kernel tells now. */
  take(flows: readonly DeniedFlow[]): void {
    for (const flow of flows) {
      const packets = flow.packets - countedOf(flow, this.#known.get(flowKey(flow)));
      const { audit, direction, from, to } = flow;
      const end = direction === 'egress' ? from : to;
      if (packets > 0) this.#add({ audit, direction, pod: end.pod ?? end.address, packets });
    }
    this.#known = new Map(flows.map((flow) => [flowKey(flow), flow]));
  }

  counts(): Iterable<EndCount> {
    return this.#counts.values();
  }

  #add(more: EndCount): void {
    const key = `${more.audit} ${more.direction} ${more.pod}`;
    const known = this.#counts.get(key);
    const isNamed = known !== undefined || more.pod === OTHERS || this.#counts.size < MOST_ENDS;
    if (isNamed) this.#counts.set(key, { ...more, packets: more.packets + (known?.packets ?? 0) });
    else this.#add({ ...more, pod: OTHERS });
  }
}

/** The kernel tells remaining seconds, so that the time of one and the same first packet is not always the same. */
const SAME_MS = 3000;

/** Returns how many packets of a flow were counted before: none of one that was forgotten meanwhile and has begun anew. */
function countedOf(flow: DeniedFlow, before: DeniedFlow | undefined): number {
  if (before === undefined || flow.packets < before.packets) return 0;
  const isSame = Math.abs(Date.parse(flow.firstSeen) - Date.parse(before.firstSeen)) < SAME_MS;
  return isSame ? before.packets : 0;
}
