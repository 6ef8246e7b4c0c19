import type { Logger } from 'pino';
import { isFinished, type Pod } from '../kube/pod.ts';
import { printable } from '../net/quote.ts';
import type { PodEvent } from '../source/api/podEvents.ts';
import { DeniedEvents, type DenialContext, type PodDenial } from './deniedEvents.ts';
import { deniedEvent } from './deniedEventText.ts';
import type { KnownNode, NodeSync } from './nodeSync.ts';

/** Takes an Event to where people read it. Rejects when it cannot. */
export interface EventWriter {
  readonly write: (event: PodEvent, signal: AbortSignal) => Promise<void>;
}

export interface DeniedTellerOptions {
  readonly nodeName: string;
  readonly events: EventWriter;
  readonly sync: Pick<NodeSync, 'denied' | 'known'>;
  readonly log: Logger;
}

/** How often the kernel is asked. */
const PERIOD_MS = 10_000;

/** Tells of refusals by Events at this node's pods. Nothing waits for it, and whatever it cannot do is logged once. */
export class DeniedTeller {
  readonly #options: DeniedTellerOptions;
  readonly #events = new DeniedEvents();
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #hasFailed = false;

  constructor(options: DeniedTellerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.#lookAlone(), PERIOD_MS).unref();
  }

  /** Ends; what was not told yet is told by nobody. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort();
    await this.#running;
  }

  #lookAlone(): void {
    this.#running ??= this.look().finally(() => (this.#running = undefined));
  }

  /** Looks once, and resolves when what is to be told is told, or could not be. */
  async look(): Promise<void> {
    const { sync } = this.#options;
    const known = sync.known();
    // Whose the addresses are is not known yet.
    if (known === undefined) return;
    try {
      const { flows, problem } = await sync.denied();
      if (problem !== undefined) throw new Error(`nothing is noted down on this node: ${problem}`);
      for (const denial of this.#events.take(flows, this.#context(known))) await this.#tell(denial);
    } catch (error) {
      this.#complain(error);
    }
  }

  #context({ cluster }: KnownNode): DenialContext {
    const { nodeName } = this.#options;
    return {
      now: performance.now(),
      localPod: (key) => {
        const pod = cluster.pods.get(key);
        const isLocal = pod?.nodeName === nodeName && !pod.hostNetwork && !isFinished(pod);
        return isLocal ? { namespace: pod.namespace, name: pod.name, uid: eventUid(pod) } : undefined;
      },
    };
  }

  async #tell(denial: PodDenial): Promise<void> {
    const { signal } = this.#stop;
    if (signal.aborted) return;
    try {
      await this.#options.events.write(deniedEvent(denial), signal);
      this.#hasFailed = false;
    } catch (error) {
      this.#events.putBack(denial, { now: performance.now() });
      this.#complain(error);
    }
  }

  #complain(error: unknown): void {
    if (this.#hasFailed || this.#stop.signal.aborted) return;
    this.#hasFailed = true;
    const reason = printable(error instanceof Error ? error.message : String(error));
    this.#options.log.warn(`Cannot tell of refusals by Events: ${reason}; trying again, and "denied" tells of them`);
  }
}

/** `kubectl describe` looks at a static pod's mirror for what is told of the pod itself. The annotation is its author's. */
function eventUid({ uid, staticPodHash }: Pod): string | undefined {
  return staticPodHash !== undefined && /^[-0-9a-z]{1,64}$/.test(staticPodHash) ? staticPodHash : uid;
}
