/** What identifies an attachment (CNI spec, section 2, "Parameters"). */
export interface AttachmentId {
  readonly containerId: string;
  readonly ifName: string;
}

/** Returns the one text of an attachment's identity. A colon can be in neither part, so that no two attachments share it. */
export function idOf({ containerId, ifName }: AttachmentId): string {
  return `${containerId}:${ifName}`;
}

/** Returns the identity whose one text this is. */
export function attachmentOf(id: string): AttachmentId {
  const [containerId = '', ifName = ''] = id.split(':');
  return { containerId, ifName };
}

/** What the kernel must know of a pod's attachment to hook it in. */
export interface PodHooks extends AttachmentId {
  readonly namespace: string;
  readonly name: string;
  /** Canonical addresses of both families. */
  readonly addresses: readonly string[];
  /** The pod's interface on the node's side; `undefined` where nobody could tell, then its sources are not locked. */
  readonly hostInterface: string | undefined;
  /** Whether `hostInterface` is a port of a bridge. */
  readonly bridged: boolean;
}

/**
 * Where a pod's packets are judged, for one direction: nowhere, by a profile, by one that lets pass what it does not allow (audit mode), or refused
 * until the agent knows the pod.
 */
export type PodJudgement =
  | { readonly kind: 'open' }
  | { readonly kind: 'profile' | 'audit'; readonly chain: string }
  | { readonly kind: 'quarantine' };

export interface PodJudgements {
  readonly ingress: PodJudgement;
  readonly egress: PodJudgement;
}

/** How a pod is judged that no policy isolates. */
export const OPEN: PodJudgements = { ingress: { kind: 'open' }, egress: { kind: 'open' } };

/** How a pod is judged that nobody knows. */
export const QUARANTINE: PodJudgements = { ingress: { kind: 'quarantine' }, egress: { kind: 'quarantine' } };

/** A pod that is attached, with where it is to be judged. `undefined`: its ADD is still under way. */
export interface AttachedPod {
  readonly hooks: PodHooks;
  readonly judgements: PodJudgements | undefined;
}
