import { isLongOneOfMany, readAttachment, type Attachment } from '../rendezvous/attachment.ts';
import { readHeartbeat } from '../rendezvous/heartbeat.ts';
import { parseCniArgs } from './args.ts';
import type { Context } from './context.ts';
import type { AttachmentCall } from './env.ts';
import { CniError } from './errors.ts';
import type { Input } from './input.ts';
import { decodePrevResult } from './prevResult.ts';
import { presentKernel } from './backend.ts';

/** Throws a CniError that names everything of the pod that is not in place. Writes nothing. */
export function check(
  context: Context,
  { call, input }: { readonly call: AttachmentCall; readonly input: Input },
): void {
  const { addresses } = decodePrevResult(input.fields['prevResult'], call.id.ifName);
  if (parseCniArgs(call.args) === undefined) return;
  const record = readAttachment(context.config.runtimeDir, call.id);
  if (record === undefined) throw notInPlace(['the record of the attachment']);
  const kernel = presentKernel(context);
  const agent = readHeartbeat(context.config.runtimeDir) !== undefined;
  const settled = isLongOneOfMany(context.config.runtimeDir, call.id);
  const missing = [
    ...addressProblems(record, addresses),
    ...(record.judgements === undefined ? ['the end of its ADD'] : []),
    ...(kernel?.missing(record, { agent, settled }) ?? ['what hooks pods in: no backend was ever chosen on this node']),
  ];
  if (missing.length > 0) throw notInPlace(missing);
}

function addressProblems(record: Attachment, addresses: readonly string[]): readonly string[] {
  const same =
    record.addresses.length === addresses.length && record.addresses.every((address) => addresses.includes(address));
  return same
    ? []
    : [
        `the addresses of prevResult (${addresses.join(', ')}; the pod was hooked in with ${record.addresses.join(', ')})`,
      ];
}

function notInPlace(missing: readonly string[]): CniError {
  return new CniError('notInPlace', {
    msg: `Cannot vouch for the pod: not in place is ${missing.join('; ')}`,
    details:
      'A running agent puts rules right by itself within seconds; for a missing record, delete the pod and let it be made again',
  });
}
