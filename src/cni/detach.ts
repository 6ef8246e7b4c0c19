import { runTool } from '../dataplane/runTool.ts';
import {
  isLongOneOfMany,
  readAttachment,
  readAttachments,
  removeAttachment,
  writeAttachment,
  type Attachment,
} from '../rendezvous/attachment.ts';
import type { AttachmentId, PodHooks } from '../rules/pod.ts';
import type { Context } from './context.ts';
import { NodeLinks } from '../dataplane/nodeLinks.ts';
import { kernelsHolding } from './backend.ts';

/**
 * Takes a pod out: its interface down, its record away, then its rules. Nothing there is success. Throws a CniError, a CommandError or the file
 * system's error; then the record is there as before, so that the runtime's next DEL finds all that it needs.
 */
export function detach(context: Context, id: AttachmentId): void {
  const { config, log } = context;
  const record = readAttachment(config.runtimeDir, id);
  const settled = isLongOneOfMany(config.runtimeDir, id);
  if (record !== undefined) takeDown(context, record);
  // Before the rules: an ADD that is still running sees it and leaves nothing behind.
  removeAttachment(config.runtimeDir, id);
  try {
    const kernels = kernelsHolding(context, { wasHooked: record !== undefined, hookedBy: record?.backend });
    const hooks = record === undefined ? undefined : ownHooks(context, record);
    for (const kernel of kernels) kernel.takeOut(id, { hooks, settled });
  } catch (error) {
    if (record !== undefined) writeAttachment(config.runtimeDir, record);
    throw error;
  }
  log('info', record === undefined ? 'Nothing was known of the attachment' : 'Took the pod out', { ...id });
}

/**
 * Takes the pod's interface on the node down: DEL comes to us before the plugin that removes the interface, and until then the pod would be
 * reachable without its rules. That it cannot be done is no failure.
 */
function takeDown({ config, env, log }: Context, record: Attachment): void {
  const { hostInterface } = record;
  const links = new NodeLinks();
  if (hostInterface === undefined || !links.has(hostInterface)) return;
  if (isSharedByNow(config.runtimeDir, record) || links.setDown(hostInterface)) return;
  const reason = runTool('ip', ['link', 'set', 'dev', hostInterface, 'down'], env);
  if (reason === undefined) return;
  log('warn', "Cannot take the pod's interface down", { hostInterface, reason });
}

/** An interface that another attachment has by now keeps its lock. */
function ownHooks({ config }: Context, record: Attachment): PodHooks {
  return isSharedByNow(config.runtimeDir, record) ? { ...record, hostInterface: undefined } : record;
}

/** Calico-like networks name the interface by the pod: a late DEL must not cut off the pod's next sandbox. Names of bridge ports do not come again. */
function isSharedByNow(runtimeDir: string, { bridged, containerId, hostInterface }: Attachment): boolean {
  if (bridged) return false;
  const others = readAttachments(runtimeDir).filter((other) => other.containerId !== containerId);
  return others.some((other) => other.hostInterface === hostInterface);
}
