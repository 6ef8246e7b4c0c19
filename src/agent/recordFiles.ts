import {
  acknowledge,
  isAcknowledged,
  readAttachment,
  readAttachments,
  type RecordedAttachment,
} from '../rendezvous/attachment.ts';
import { attachmentOf, idOf } from '../rules/pod.ts';

/** The attachments, by `idOf`, whose records may have changed. */
export type DoubtfulRecords = ReadonlySet<string> | 'all';

/** The attachment records of this node, and the agent's answers to them. No file is looked at without need. */
export class RecordFiles {
  readonly #runtimeDir: string;
  /** The attachments, by `idOf`, that were acknowledged since their records were last read. */
  readonly #acknowledged = new Set<string>();

  constructor(runtimeDir: string) {
    this.#runtimeDir = runtimeDir;
  }

  /** Returns all records, of which those that are not in doubt are as they were `known`. Throws the file system's error. */
  read(doubtful: DoubtfulRecords, known: readonly RecordedAttachment[]): readonly RecordedAttachment[] {
    if (doubtful === 'all') {
      this.#acknowledged.clear();
      return this.readAll();
    }
    const records = new Map(known.map((record) => [idOf(record), record]));
    for (const id of doubtful) {
      this.#acknowledged.delete(id);
      const record = readAttachment(this.#runtimeDir, attachmentOf(id));
      if (record === undefined) records.delete(id);
      else records.set(id, record);
    }
    return [...records.values()];
  }

  /** Returns all records as they are now. Throws the file system's error. */
  readAll(): readonly RecordedAttachment[] {
    return readAttachments(this.#runtimeDir);
  }

  /** Tells the ADDs of these records that the agent has done its part. Throws the file system's error. */
  acknowledge(records: readonly RecordedAttachment[]): void {
    for (const record of records) {
      const id = idOf(record);
      if (this.#acknowledged.has(id)) continue;
      if (!isAcknowledged(this.#runtimeDir, record)) acknowledge(this.#runtimeDir, record);
      this.#acknowledged.add(id);
    }
  }
}
