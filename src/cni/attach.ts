import { deleteFlowsFrom } from '../dataplane/conntrackSync.ts';
import { dropWaitingPackets } from '../dataplane/neighbourSync.ts';
import { monotonicMs } from '../dataplane/pause.ts';
import {
  isRecorded,
  readAttachment,
  removeAttachment,
  writeAttachment,
  writeJudgements,
  type Attachment,
} from '../rendezvous/attachment.ts';
import { claimGeneration } from '../rendezvous/generation.ts';
import { readHeartbeat, type Heartbeat } from '../rendezvous/heartbeat.ts';
import { isMissing } from '../files/readIfAny.ts';
import { makeRuntimeDir } from '../rendezvous/runtimeDir.ts';
import { generationMark } from '../rules/mark.ts';
import { OPEN, QUARANTINE, type PodJudgements } from '../rules/pod.ts';
import { awaitAcknowledgement, awaitExpected, expectedJudgements, type Patience } from './agentWait.ts';
import type { Context } from './context.ts';
import { CniError } from './errors.ts';
import type { Hooking, PodKernel } from '../dataplane/podKernel.ts';
import { podKernel, settleBackend } from './backend.ts';

interface Attaching {
  readonly context: Context;
  readonly record: Attachment;
  readonly kernel: PodKernel;
  readonly agent: Heartbeat | undefined;
  readonly patience: Patience;
  /** The kernel may hold something of an earlier ADD of the same attachment. */
  readonly again: boolean;
}

/**
 * Makes an attachment known to the agent and hooks it in. When it returns, the pod is judged as the agent says, or refused (or left open, by
 * `whenAgentDown`) until an agent knows better. When it throws, nothing of the pod is left.
 */
export function attach(context: Context, pod: Omit<Attachment, 'backend'>): void {
  const { runtimeDir, agentTimeoutMs } = context.config;
  const agent = readHeartbeat(runtimeDir);
  const backend = settleBackend(context, agent);
  const record = { ...pod, backend };
  const kernel = podKernel(backend, context);
  kernel.require(record.addresses);
  const again = readAttachment(runtimeDir, record) !== undefined;
  const patience = { runtimeDir, until: monotonicMs() + agentTimeoutMs };
  const attaching = { context, record, kernel, agent, patience, again };
  try {
    writeRecord(runtimeDir, record);
    protect(attaching);
  } catch (error) {
    undo(attaching);
    throw error;
  }
}

function writeRecord(runtimeDir: string, record: Attachment): void {
  try {
    writeAttachment(runtimeDir, record);
  } catch (error) {
    if (!isMissing(error)) throw error;
    makeRuntimeDir(runtimeDir);
    writeAttachment(runtimeDir, record);
  }
}

function protect(attaching: Attaching): void {
  const { context, record, kernel, agent } = attaching;
  const { runtimeDir } = context.config;
  const expected = agent === undefined ? undefined : awaitExpected(record, attaching.patience);
  const judgements = kernel.hookIn(hookingOf(attaching, expected));
  if (judgements.ingress.kind !== 'open') dropEarlyPackets(attaching);
  const settled =
    agent !== undefined && awaitAcknowledgement(record, attaching.patience)
      ? judgements
      : closeForStrangers(attaching, judgements);
  writeJudgements(runtimeDir, { id: record, judgements: settled });
  if (!isRecorded(runtimeDir, record)) throw overtaken();
  context.log('info', 'Hooked the pod in', { ...told(record), judgements: settled, agent: agent !== undefined });
}

/** What was sent to the address before the hooks were there, and waits for the pod to be found, was never judged. */
function dropEarlyPackets({ context, record }: Attaching): void {
  const problems = record.addresses.flatMap((address) => dropWaitingPackets(address, context.env) ?? []);
  if (problems.length > 0)
    context.log('warn', 'Cannot drop packets that came before the pod', { ...told(record), reasons: problems });
}

// A profile that is still missing at this attempt was taken by somebody else; the agent brings it back, and until then the pod is refused.
const FALLBACK_ATTEMPT = 4;

function hookingOf(attaching: Attaching, expected: PodJudgements | undefined): Hooking {
  const { context, record, agent, again } = attaching;
  const { runtimeDir, markMask } = context.config;
  const judge = (attempt: number): PodJudgements => {
    if (expected === undefined || attempt >= FALLBACK_ATTEMPT) return unknownPod(context);
    // What was expected may have been replaced, and its profile removed.
    return (attempt === 0 ? expected : expectedJudgements(record, runtimeDir)) ?? unknownPod(context);
  };
  const claimMark = () => generationMark(claimGeneration(runtimeDir), markMask);
  return { hooks: record, agent: agent !== undefined, again, judge, claimMark };
}

/** Returns how a pod is judged that no agent has told of. */
function unknownPod({ config }: Context): PodJudgements {
  return config.whenAgentDown === 'deny' ? QUARANTINE : OPEN;
}

/**
 * Closes a pod that no agent has acknowledged, and returns how it is judged now: the peers' sets may still hold what an earlier pod with its address
 * was allowed, and what answered that pod must not count as replies to this one.
 */
function closeForStrangers(attaching: Attaching, judgements: PodJudgements): PodJudgements {
  const { context, record, kernel } = attaching;
  const closes = context.config.whenAgentDown === 'deny' && !isQuarantine(judgements);
  const closed = closes ? unknownPod(context) : judgements;
  if (closes) {
    kernel.hookIn(hookingOf(attaching, undefined));
    context.log('warn', 'Quarantined the pod: the agent did not acknowledge it in time', told(record));
  }
  const problems = record.addresses.flatMap((address) => deleteFlowsFrom(address, context.env) ?? []);
  if (problems.length > 0)
    context.log('warn', 'Cannot end flows of an earlier holder of the address', { ...told(record), reasons: problems });
  return closed;
}

function isQuarantine({ ingress, egress }: PodJudgements): boolean {
  return ingress.kind === 'quarantine' && egress.kind === 'quarantine';
}

/** Leaves nothing of the pod. Where the kernel does not let that happen the record stays, so that DEL tries again. */
function undo({ context, record, kernel, again }: Attaching): void {
  try {
    kernel.undo({ hooks: record, again });
    removeAttachment(context.config.runtimeDir, record);
  } catch (error) {
    context.log('error', 'Cannot undo what ADD began', { ...told(record), reason: String(error) });
  }
}

function overtaken(): CniError {
  return new CniError('tryAgainLater', {
    msg: 'Cannot add the pod: it was deleted meanwhile',
    details: 'A DEL of the same container came while ADD was running; nothing of the pod is left',
  });
}

function told({ namespace, name, containerId, ifName, addresses }: Attachment) {
  return { pod: `${namespace}/${name}`, containerId, ifName, addresses };
}
