import { ApiError, type ApiConnection } from './connection.ts';
import type { JsonObject } from './apiObject.ts';

/** What people are to read at a pod. */
export interface PodEvent {
  readonly pod: EventPod;
  /** One word, for programs. */
  readonly reason: string;
  readonly message: string;
  /** When it happened. Milliseconds since 1970. */
  readonly at: number;
}

/** Whom an Event is about. */
export interface EventPod {
  readonly namespace: string;
  readonly name: string;
  /** The uid under which `kubectl describe` looks for Events. */
  readonly uid: string | undefined;
}

export interface PodEventsOptions {
  readonly connection: ApiConnection;
  readonly nodeName: string;
}

/** An API server that takes longer is told another time. */
const PATIENCE_MS = 5000;
const COMPONENT = 'kube-nwplcy';

/** Writes Events (core/v1) about this node's pods to the API server. */
export class PodEvents {
  readonly #options: PodEventsOptions;

  constructor(options: PodEventsOptions) {
    this.#options = options;
  }

  /** Writes one. Rejects when the API server does not take it, or does not answer in time, or when `signal` is aborted. */
  async write(event: PodEvent, signal: AbortSignal): Promise<void> {
    const { connection, nodeName } = this.#options;
    const path = `/api/v1/namespaces/${encodeURIComponent(event.pod.namespace)}/events`;
    try {
      await connection.json({
        method: 'POST',
        path,
        body: objectOf(event, nodeName),
        silenceMs: PATIENCE_MS,
        signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]),
      });
    } catch (error) {
      const isForbidden = error instanceof ApiError && error.code === 403;
      throw isForbidden ? new Error(`${error.message}; apply cni-conf/denied-events.yaml`, { cause: error }) : error;
    }
  }
}

function objectOf({ pod, reason, message, at }: PodEvent, nodeName: string): JsonObject {
  const time = `${new Date(at).toISOString().slice(0, 'YYYY-MM-DDThh:mm:ss'.length)}Z`;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    // The API server shortens what is too long, and completes it.
    metadata: { namespace: pod.namespace, generateName: `${pod.name}.` },
    involvedObject: { apiVersion: 'v1', kind: 'Pod', ...pod },
    type: 'Warning',
    reason,
    message,
    source: { component: COMPONENT, host: nodeName },
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
    reportingComponent: COMPONENT,
    reportingInstance: nodeName,
  };
}
