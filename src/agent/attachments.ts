import { isDeepStrictEqual } from 'node:util';
import { objectKey } from '../kube/pod.ts';
import type { RecordedAttachment } from '../rendezvous/attachment.ts';
import { idOf, type PodJudgements } from '../rules/pod.ts';

/** An ADD that has not ended after this time was killed: it waits for the agent for a minute at most. Milliseconds. */
const ADD_LIMIT_MS = 90_000;
/** A DEL has certainly ended after this time. Milliseconds. */
const DEL_LIMIT_MS = 10_000;

/** What changed in the records since the last look. */
export interface AttachmentChanges {
  /** Seen for the first time. */
  readonly appeared: readonly RecordedAttachment[];
  /** Hooked by ADD since the last look, for the first time or again. */
  readonly hooked: readonly HookedAttachment[];
  /** Those whose records are gone, by `idOf`. */
  readonly gone: ReadonlySet<string>;
}

/** An attachment whose pod is hooked in. */
export type HookedAttachment = RecordedAttachment & { readonly judgements: PodJudgements };

interface Known {
  readonly record: RecordedAttachment;
  readonly since: number;
}

/** The attachment records of this node as they were at the last look. */
export class Attachments {
  #known: ReadonlyMap<string, Known> = new Map();
  #records: readonly RecordedAttachment[] = [];
  readonly #leavingUntil = new Map<string, number>();
  readonly #detached = new Set<string>();

  /** Takes a new look; `now` in milliseconds. */
  update(records: readonly RecordedAttachment[], now: number): AttachmentChanges {
    const before = this.#known;
    this.#known = new Map(records.map((record) => [idOf(record), knownAs(record, { before, now })]));
    const all = [...this.#known.values()].map(({ record }) => record);
    const areSame =
      all.length === this.#records.length && all.every((record, index) => record === this.#records[index]);
    if (!areSame) this.#records = all;
    const goneRecords = [...before].filter(([id]) => !this.#known.has(id)).map(([, { record }]) => record);
    for (const record of goneRecords) this.#detached.add(objectKey(record));
    for (const record of records) this.#detached.delete(objectKey(record));
    const gone = new Set(goneRecords.map(idOf));
    for (const id of gone) this.#leavingUntil.set(id, now + DEL_LIMIT_MS);
    for (const [id, until] of this.#leavingUntil) if (until <= now) this.#leavingUntil.delete(id);
    for (const id of this.#known.keys()) this.#leavingUntil.delete(id);
    return {
      appeared: records.filter((record) => !isKnown(before, record)),
      hooked: records.filter(isHooked).filter((record) => !wasHookedSo(before, record)),
      gone,
    };
  }

  /** Returns all records: the same objects, and the same list of them, as long as they say the same. */
  all(): readonly RecordedAttachment[] {
    return this.#records;
  }

  /** Returns the attachments, by `idOf`, that these records have and the last look had not, or the other way round. */
  unlike(records: readonly RecordedAttachment[]): ReadonlyMap<string, RecordedAttachment> {
    const ids = new Set(records.map(idOf));
    const changed = [
      ...records.filter((record) => !isKnown(this.#known, record)),
      ...this.all().filter((record) => !ids.has(idOf(record))),
    ];
    return new Map(changed.map((record) => [idOf(record), record]));
  }

  /** Returns those of these pods that were attached and are not any more: the API shows their addresses for a while yet. Forgets all others. */
  detachedOf(pods: ReadonlyMap<string, unknown>): ReadonlySet<string> {
    for (const key of this.#detached) if (!pods.has(key)) this.#detached.delete(key);
    return this.#detached;
  }

  /** Returns the attachments, by `idOf`, that a DEL may still be taking out: nobody else touches what is theirs. */
  leaving(): ReadonlySet<string> {
    return new Set(this.#leavingUntil.keys());
  }

  /** Tells whether the record's ADD is still to write its hooks. */
  isUnderWay(record: RecordedAttachment, now: number): boolean {
    return record.judgements === undefined && now - (this.#known.get(idOf(record))?.since ?? now) < ADD_LIMIT_MS;
  }
}

function knownAs(
  record: RecordedAttachment,
  { before, now }: { readonly before: ReadonlyMap<string, Known>; readonly now: number },
): Known {
  const known = before.get(idOf(record));
  if (known === undefined || !isSame(known.record, record)) return { record, since: now };
  return isDeepStrictEqual(known.record, record) ? known : { record, since: known.since };
}

function isHooked(record: RecordedAttachment): record is HookedAttachment {
  return record.judgements !== undefined;
}

function isKnown(known: ReadonlyMap<string, Known>, record: RecordedAttachment): boolean {
  const before = known.get(idOf(record));
  return before !== undefined && isSame(before.record, record);
}

/** An ADD that came again between two looks shows in what it hooked or how it judged. */
function wasHookedSo(known: ReadonlyMap<string, Known>, record: RecordedAttachment): boolean {
  const judgements = JSON.stringify(known.get(idOf(record))?.record.judgements);
  return isKnown(known, record) && judgements === JSON.stringify(record.judgements);
}

/** An ADD that comes again for the same container may bring other addresses, and begins by forgetting what was hooked. */
function isSame(a: RecordedAttachment, b: RecordedAttachment): boolean {
  if (a.judgements !== undefined && b.judgements === undefined) return false;
  return (
    objectKey(a) === objectKey(b) &&
    a.uid === b.uid &&
    a.hostInterface === b.hostInterface &&
    a.bridged === b.bridged &&
    a.addresses.join() === b.addresses.join()
  );
}
