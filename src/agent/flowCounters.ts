import type { DeniedFlow } from '../rendezvous/deniedFlow.ts';
import { FlowNews } from './flowNews.ts';

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

/** Counters that only grow, from flows that the kernel forgets after a while. */
export class FlowCounters {
  readonly #counts = new Map<string, EndCount>();
  readonly #news = new FlowNews();

  /** Takes over what the kernel tells now. */
  take(flows: readonly DeniedFlow[]): void {
    for (const { audit, direction, from, to, packets } of this.#news.take(flows)) {
      const end = direction === 'egress' ? from : to;
      this.#add({ audit, direction, pod: end.pod ?? end.address, packets });
    }
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
