import { flowKey, type DeniedFlow } from '../rendezvous/deniedFlow.ts';
import type { EventPod } from '../source/api/podEvents.ts';
import { FlowNews } from './flowNews.ts';

/** What one pod refused, or would have but for audit mode, in one direction since it was told last. */
export interface PodDenial {
  readonly pod: EventPod;
  readonly direction: DeniedFlow['direction'];
  readonly audit: boolean;
  /** With the packets of that time, the most first. */
  readonly flows: readonly DeniedFlow[];
  /** The packets of all further flows. */
  readonly otherPackets: number;
}

/** What decides, besides the flows. */
export interface DenialContext {
  /** A time that only grows. Milliseconds. */
  readonly now: number;
  /** Returns a pod of this node by its key, `namespace/name`; `undefined` for all others. */
  readonly localPod: (key: string) => EventPod | undefined;
}

/** The same end is told of no more often. */
const BETWEEN_SAME_MS = 300_000;
/** All ends of a node together, in a minute. */
const MOST_A_MINUTE = 10;
const MINUTE_MS = 60_000;
/** Of further flows only the packets are remembered: a pod that tries every port makes any number of them. */
const MOST_FLOWS = 16;

/** One end of flows: a pod, a direction, and whether it is in audit mode. */
interface End extends Omit<PodDenial, 'flows'> {
  readonly key: string;
  readonly flows: ReadonlyMap<string, DeniedFlow>;
  /** When the first of this came. */
  readonly since: number;
}

/** A flow, and the end that it belongs to. */
interface EndFlow {
  readonly pod: EventPod;
  readonly flow: DeniedFlow;
  readonly key: string;
}

/**
 * Decides which refusals are told, so that a few tell of many: one for each pod, direction and mode in five minutes, and ten a minute in all. Whatever has to
 * wait is told in the next one; what a pod refused that is gone is told no more.
 */
export class DeniedEvents {
  readonly #news = new FlowNews();
  #isBegun = false;
  readonly #waiting = new Map<string, End>();
  /** When each end was told of last. */
  readonly #toldAt = new Map<string, number>();
  /** When something was told in the last minute. */
  #told: readonly number[] = [];

  /** Takes over what the kernel tells now, and returns what is to be told. What was there at the first call is told by nobody: it may be a day old. */
  take(flows: readonly DeniedFlow[], { now, localPod }: DenialContext): readonly PodDenial[] {
    this.#forget({ now, localPod });
    const news = this.#news.take(flows);
    if (this.#isBegun) for (const flow of news) this.#add(flow, { now, localPod });
    this.#isBegun = true;
    return [...this.#waiting.values()]
      .filter(({ key }) => !this.#toldAt.has(key))
      .toSorted((one, other) => one.since - other.since)
      .slice(0, Math.max(0, MOST_A_MINUTE - this.#told.length))
      .map((end) => this.#tell(end, now));
  }

  /** Takes back what could not be told: it is told in the next one. */
  putBack(denial: PodDenial, { now }: Pick<DenialContext, 'now'>): void {
    for (const flow of denial.flows) this.#merge(endOf(flow, denial.pod), now);
    const end = this.#waiting.get(endKey(denial));
    if (end !== undefined) this.#waiting.set(end.key, { ...end, otherPackets: end.otherPackets + denial.otherPackets });
  }

  #forget({ now, localPod }: DenialContext): void {
    this.#told = this.#told.filter((time) => now - time < MINUTE_MS);
    for (const [key, time] of this.#toldAt) if (now - time >= BETWEEN_SAME_MS) this.#toldAt.delete(key);
    for (const [key, { pod }] of this.#waiting)
      if (localPod(`${pod.namespace}/${pod.name}`)?.uid !== pod.uid) this.#waiting.delete(key);
  }

  #add(flow: DeniedFlow, { now, localPod }: DenialContext): void {
    const name = (flow.direction === 'egress' ? flow.from : flow.to).pod;
    const pod = name === null ? undefined : localPod(name);
    if (pod !== undefined) this.#merge(endOf(flow, pod), now);
  }

  #merge({ pod, flow, key }: EndFlow, now: number): void {
    const { direction, audit } = flow;
    const end: End = this.#waiting.get(key) ?? {
      key,
      pod,
      direction,
      audit,
      flows: new Map(),
      otherPackets: 0,
      since: now,
    };
    const known = end.flows.get(flowKey(flow));
    const isKept = known !== undefined || end.flows.size < MOST_FLOWS;
    const packets = flow.packets + (known?.packets ?? 0);
    this.#waiting.set(key, {
      ...end,
      flows: isKept ? new Map(end.flows).set(flowKey(flow), { ...flow, packets }) : end.flows,
      otherPackets: end.otherPackets + (isKept ? 0 : flow.packets),
    });
  }

  #tell({ key, pod, direction, audit, flows, otherPackets }: End, now: number): PodDenial {
    this.#waiting.delete(key);
    this.#toldAt.set(key, now);
    this.#told = [...this.#told, now];
    const byPackets = [...flows.values()].toSorted((one, other) => other.packets - one.packets);
    return { pod, direction, audit, flows: byPackets, otherPackets };
  }
}

function endOf(flow: DeniedFlow, pod: EventPod): EndFlow {
  return { flow, pod, key: endKey({ ...flow, pod }) };
}

function endKey({ pod, direction, audit }: Pick<PodDenial, 'pod' | 'direction' | 'audit'>): string {
  return `${pod.namespace}/${pod.name} ${pod.uid} ${direction} ${audit}`;
}
