import { flowKey, type DeniedFlow } from '../rendezvous/deniedFlow.ts';

/** What came since the last look of flows that the kernel forgets after a while. What came and was forgotten between two looks is missed. */
export class FlowNews {
  #known: ReadonlyMap<string, DeniedFlow> = new Map();

  /** Takes over what the kernel tells now. Returns what came since, with as many packets as came since. */
  take(flows: readonly DeniedFlow[]): readonly DeniedFlow[] {
    const before = this.#known;
    this.#known = new Map(flows.map((flow) => [flowKey(flow), flow]));
    return flows.flatMap((flow) => {
      const packets = flow.packets - countedOf(flow, before.get(flowKey(flow)));
      return packets > 0 ? [{ ...flow, packets }] : [];
    });
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
