import type { Attachment } from '../rendezvous/attachment.ts';
import { parseCniArgs, type PodIdentity } from './args.ts';
import { attach } from './attach.ts';
import { bridgeFilterProblem } from '../dataplane/bridgeFilter.ts';
import type { Context } from './context.ts';
import type { AttachmentCall } from './env.ts';
import { CniError } from './errors.ts';
import { findHostInterface } from './hostInterface.ts';
import type { Input } from './input.ts';
import { NodeLinks } from '../dataplane/nodeLinks.ts';
import { decodePrevResult, prevResultText } from './prevResult.ts';

/** Hooks the pod in and returns the result: what the plugins before returned. Throws a CniError, a CommandError or the file system's error. */
export function add(
  context: Context,
  { call, input }: { readonly call: AttachmentCall; readonly input: Input },
): string {
  const pod = parseCniArgs(call.args);
  const result = prevResultText(input);
  if (pod === undefined) {
    context.log('info', 'Nothing to hook in: CNI_ARGS names no pod', { ...call.id });
    return result;
  }
  const record = recordOf(context, { call, input, pod });
  const problem = record.bridged ? bridgeFilterProblem(record.addresses) : undefined;
  if (problem !== undefined) throw unfiltered(record, problem);
  attach(context, record);
  return result;
}

function recordOf(
  context: Context,
  { call, input, pod }: { readonly call: AttachmentCall; readonly input: Input; readonly pod: PodIdentity },
): Omit<Attachment, 'backend'> {
  const prevResult = decodePrevResult(input.fields['prevResult'], call.id.ifName);
  if (prevResult.addresses.length === 0) throw noAddress(context, call);
  const host = findHostInterface(prevResult, new NodeLinks());
  if (host.hostInterface === undefined) {
    context.log('warn', "Cannot tell the pod's interface on the node: its source addresses are not locked", {
      ...call.id,
    });
  }
  const { config } = context;
  return {
    ...call.id,
    ...pod,
    ...host,
    addresses: prevResult.addresses,
    network: config.name,
    netns: call.netns,
    markMask: config.markMask,
  };
}

function noAddress({ config }: Context, { id }: AttachmentCall): CniError {
  return new CniError('invalidConfig', {
    msg: 'Cannot chain after a plugin that assigned no address',
    details: `prevResult.ips must have an entry for "${id.ifName}": network "${config.name}", container ${id.containerId}`,
  });
}

function unfiltered({ hostInterface }: Pick<Attachment, 'hostInterface'>, problem: string): CniError {
  return new CniError('bridgeUnfiltered', {
    msg: `Cannot protect a pod on a bridge: ${problem}`,
    details: `Packets between ports of the bridge of "${hostInterface ?? ''}" would pass no rule. "kube-nwplcy install" and the DaemonSet set it`,
  });
}
