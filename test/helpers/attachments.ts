import { DEFAULT_MARK_MASK } from '../../src/rules/mark.ts';
import type { Attachment, RecordedAttachment } from '../../src/rendezvous/attachment.ts';

/** Returns the attachment of a pod `namespace/name` on a bridge, with whatever is said otherwise. */
export function attachment(key: string, tweaks: Partial<Attachment> = {}): Attachment {
  const [namespace = '', name = ''] = key.split('/');
  return {
    containerId: `${namespace}.${name}`,
    ifName: 'eth0',
    namespace,
    name,
    addresses: ['10.0.0.1'],
    hostInterface: `veth-${name}`,
    bridged: true,
    network: 'pods',
    netns: `/run/netns/${name}`,
    uid: undefined,
    backend: 'iptables-nft',
    markMask: DEFAULT_MARK_MASK,
    ...tweaks,
  };
}

/** Returns the attachment as the agent finds it once its pod is hooked in. */
export function hooked(key: string, tweaks: Partial<RecordedAttachment> = {}): RecordedAttachment {
  return { ...attachment(key, tweaks), judgements: { ingress: { kind: 'open' }, egress: { kind: 'open' } }, ...tweaks };
}

/** Returns the attachment as the agent finds it while its ADD is under way. */
export function underWay(key: string, tweaks: Partial<Attachment> = {}): RecordedAttachment {
  return { ...attachment(key, tweaks), judgements: undefined };
}
