import type { Logger } from 'pino';
import type { Backend } from '../dataplane/backend.ts';
import type { Removed } from '../dataplane/removed.ts';
import type { RecordedAttachment } from '../rendezvous/attachment.ts';
import type { AttachmentChanges } from './attachments.ts';

const TRY_AGAIN_MS = 60_000;

export interface HandoverOptions {
  readonly backend: Backend;
  /** Takes everything of ours out of the other backends. */
  readonly removeOthers: (attachments: readonly RecordedAttachment[]) => readonly Removed[];
  readonly log: Logger;
}

/**
 * Sees that one backend alone holds what is ours. Pods that were hooked in by another one are hooked in by this one first; the other's rules go when
 * no ADD that writes there is under way any more.
 */
export class Handover {
  readonly #options: HandoverOptions;
  // What an agent before had, with another backend, or with its choice lost, nobody remembers.
  #isDue = true;
  #notBefore = Number.NEGATIVE_INFINITY;

  constructor(options: HandoverOptions) {
    this.#options = options;
  }

  /** Tells whether an attachment's ADD writes into this backend. Earlier versions knew iptables only and did not say. */
  isOurs({ backend }: RecordedAttachment): boolean {
    return backend === undefined ? this.#options.backend !== 'nftables' : backend === this.#options.backend;
  }

  /** Takes note of ADDs that began, or ended, in another backend. */
  note({ appeared, hooked }: AttachmentChanges): void {
    if (![...appeared, ...hooked].some((record) => !this.isOurs(record))) return;
    this.#isDue = true;
    this.#notBefore = Number.NEGATIVE_INFINITY;
  }

  /** Takes the others' rules out if it is time; this backend holds every pod of these records. What cannot be done is tried again later. */
  finish(records: readonly RecordedAttachment[], isUnderWay: (record: RecordedAttachment) => boolean): void {
    if (!this.#isDue || performance.now() < this.#notBefore) return;
    if (records.some((record) => !this.isOurs(record) && isUnderWay(record))) return;
    const { removeOthers, log } = this.#options;
    const removed = removeOthers(records);
    for (const { from, what } of removed)
      if (what !== undefined) log.info({ from, what }, 'Took out what an earlier backend had left');
    const problems = removed.flatMap(({ from, problem }) => (problem === undefined ? [] : [{ from, problem }]));
    this.#isDue = problems.length > 0;
    this.#notBefore = performance.now() + TRY_AGAIN_MS;
    if (this.#isDue) log.warn({ problems }, 'Cannot take out what an earlier backend had left');
  }
}
