import { existsSync, rmSync, statSync } from 'node:fs';
import { idOf, type AttachmentId, type PodHooks, type PodJudgements } from '../rules/pod.ts';
import { MOST_AT_HEAD } from '../rules/iptables/hooks.ts';
import { listNames, readJsonIfAny } from '../files/readIfAny.ts';
import { writeFileWhole } from '../files/writeWhole.ts';

/** A pod's interface on this node. The record is the truth about local pods: the API may still show an address of before a restart. */
export interface Attachment extends PodHooks {
  /** The network's name in the conflist: GC of one network leaves the others' attachments alone. */
  readonly network: string;
  readonly netns: string;
  readonly uid: string | undefined;
  /** What hooks the pod in. `undefined`: by a version that knew iptables only. */
  readonly backend: string | undefined;
  /** The conntrack mark bits that the conflist gives us. */
  readonly markMask: number;
}

/** An attachment as the agent finds it. */
export interface RecordedAttachment extends Attachment {
  /** The judgements that ADD put into the pod's chains; `undefined` until the kernel holds the pod's hooks. */
  readonly judgements: PodJudgements | undefined;
}

/**
 * Writes the record and so makes it known to the agent. Throws the file system's error.
 *
 * Only ADD's beginning writes it. What ADD finds out later stands in a file beside it, so that an ADD which a DEL has overtaken can tell by the
 * record's absence and never brings it back.
 */
export function writeAttachment(runtimeDir: string, attachment: Attachment): void {
  rmSync(pathOf(runtimeDir, 'hooked', attachment), { force: true });
  rmSync(pathOf(runtimeDir, 'acknowledged', attachment), { force: true });
  writeFileWhole(pathOf(runtimeDir, 'attachments', attachment), JSON.stringify(attachment));
}

/** Records that the kernel holds the pod's hooks, and the judgements in its chains. */
export function writeJudgements(
  runtimeDir: string,
  { id, judgements }: { readonly id: AttachmentId; readonly judgements: PodJudgements },
): void {
  writeFileWhole(pathOf(runtimeDir, 'hooked', id), JSON.stringify(judgements));
}

/** Returns a record, or `undefined` where there is none or none that can be read: then it tells nothing. */
export function readAttachment(runtimeDir: string, id: AttachmentId): RecordedAttachment | undefined {
  const record = readJsonIfAny(pathOf(runtimeDir, 'attachments', id));
  if (!isAttachment(record) || idOf(record) !== idOf(id)) return undefined;
  return { ...record, judgements: parseJudgements(readJsonIfAny(pathOf(runtimeDir, 'hooked', id))) };
}

/** Returns all records that can be read. Throws the file system's error. */
export function readAttachments(runtimeDir: string): readonly RecordedAttachment[] {
  return listNames(`${runtimeDir}/attachments`).flatMap((name) => {
    const [containerId, ifName] = name.split(':');
    if (containerId === undefined || ifName === undefined) return [];
    return readAttachment(runtimeDir, { containerId, ifName }) ?? [];
  });
}

/** Removes the record and what belongs to it. Nothing there is success. */
export function removeAttachment(runtimeDir: string, id: AttachmentId): void {
  for (const directory of ['attachments', 'hooked', 'acknowledged'] as const)
    rmSync(pathOf(runtimeDir, directory, id), { force: true });
}

/**
 * Tells the plugin that the peers' sets hold the attachment's addresses and that no flow of an earlier holder is left. Of a record that a DEL has
 * removed meanwhile nothing stays.
 */
export function acknowledge(runtimeDir: string, id: AttachmentId): void {
  const path = pathOf(runtimeDir, 'acknowledged', id);
  writeFileWhole(path, '');
  if (!isRecorded(runtimeDir, id)) rmSync(path, { force: true });
}

/** Tells whether the agent has acknowledged the attachment. */
export function isAcknowledged(runtimeDir: string, id: AttachmentId): boolean {
  return existsSync(pathOf(runtimeDir, 'acknowledged', id));
}

/** Tells whether there is a record of the attachment, be it one that can be read or not. */
export function isRecorded(runtimeDir: string, id: AttachmentId): boolean {
  return existsSync(pathOf(runtimeDir, 'attachments', id));
}

const LONG_MS = 60_000;

/** Tells whether an attachment is neither new nor one of few, so that the agent is likely to have moved its hooks away from where ADD puts them. */
export function isLongOneOfMany(runtimeDir: string, id: AttachmentId): boolean {
  const since = statSync(pathOf(runtimeDir, 'attachments', id), { throwIfNoEntry: false })?.mtimeMs;
  if (since === undefined || Date.now() - since < LONG_MS) return false;
  return listNames(`${runtimeDir}/attachments`).length > MOST_AT_HEAD;
}

function pathOf(runtimeDir: string, directory: 'attachments' | 'hooked' | 'acknowledged', id: AttachmentId): string {
  return `${runtimeDir}/${directory}/${idOf(id)}`;
}

/** Records are root's own, but may have been written by another version. */
function isAttachment(record: unknown): record is Attachment {
  if (typeof record !== 'object' || record === null) return false;
  const {
    containerId,
    ifName,
    namespace,
    name,
    network,
    netns,
    uid,
    hostInterface,
    addresses,
    bridged,
    markMask,
    backend,
  } = record as Readonly<Record<keyof Attachment, unknown>>;
  return (
    [containerId, ifName, namespace, name, network, netns, uid ?? '', hostInterface ?? '', backend ?? ''].every(
      isText,
    ) &&
    Array.isArray(addresses) &&
    addresses.every(isText) &&
    typeof bridged === 'boolean' &&
    typeof markMask === 'number'
  );
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function parseJudgements(value: unknown): PodJudgements | undefined {
  const judgements = value as Partial<PodJudgements> | null | undefined;
  return judgements?.ingress === undefined || judgements.egress === undefined
    ? undefined
    : (judgements as PodJudgements);
}
