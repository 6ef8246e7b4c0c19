import { readAttachments } from '../rendezvous/attachment.ts';
import type { AttachmentId } from '../rules/pod.ts';
import type { Context } from './context.ts';
import { detach } from './detach.ts';
import { CniError, toCniError } from './errors.ts';
import { isObject, type Input } from './input.ts';

const KEY = 'cni.dev/valid-attachments';

/**
 * Takes out what is ours of every attachment of this network that the runtime does not list. Goes on past failures and throws them together as one
 * CniError (CNI spec, section 2, "GC").
 */
export function gc(context: Context, { fields }: Input): void {
  const valid = decodeValidAttachments(fields[KEY]);
  const records = readAttachments(context.config.runtimeDir).filter(({ network }) => network === context.config.name);
  const stale = records.filter(
    (record) =>
      !valid.some(({ containerId, ifName }) => containerId === record.containerId && ifName === record.ifName),
  );
  const failures = stale.flatMap((record) => failureOf(context, record) ?? []);
  const [first] = failures;
  if (first === undefined) return;
  throw new CniError(first.error.kind, {
    msg: `Cannot take out ${failures.length} of ${stale.length} stale attachments: ${first.error.message}`,
    details: failures
      .map(({ id, error }) => `${id.containerId} ${id.ifName}: ${error.message}, ${error.details}`)
      .join('\n'),
  });
}

function failureOf(
  context: Context,
  id: AttachmentId,
): { readonly id: AttachmentId; readonly error: CniError } | undefined {
  try {
    detach(context, id);
    return undefined;
  } catch (error) {
    return { id, error: toCniError(error) };
  }
}

/** An empty list may come as `null`, which is how Go writes a slice that was never made. That the key is missing never means that none is valid. */
function decodeValidAttachments(value: unknown): readonly AttachmentId[] {
  const list = value === null ? [] : value;
  if (!Array.isArray(list)) throw badList('must be a list');
  return list.map((entry: unknown, index) => {
    const { containerID, ifname } = isObject(entry) ? entry : {};
    if (typeof containerID !== 'string' || typeof ifname !== 'string')
      throw badList(`needs "containerID" and "ifname" in entry ${index}`);
    return { containerId: containerID, ifName: ifname };
  });
}

function badList(problem: string): CniError {
  return new CniError('invalidConfig', {
    msg: `Cannot tell which attachments are valid: "${KEY}" ${problem}`,
    details: 'The runtime lists them; nothing was taken out',
  });
}
