/**
 * What a probe does: a process in one network namespace (a pod's, a node's, a host's) that listens, connects and keeps times. Requests and
 * answers are JSON lines on its standard input and output. All times are milliseconds of CLOCK_MONOTONIC, which all processes of a machine share.
 */
export interface ProbeApi {
  /** Answers on these ports, TCP and UDP, at each of the addresses (`0.0.0.0` and `::` are fine). */
  listen(request: { readonly ports: readonly number[]; readonly addresses: readonly string[] }): Promise<null>;
  /** Tries each target once and returns the results in the order of the targets. */
  dial(request: DialRequest): Promise<readonly DialResult[]>;
  startHammer(request: HammerRequest): Promise<number>;
  stopHammer(handle: number): Promise<readonly Attempt[]>;
  openStream(request: StreamRequest): Promise<number>;
  streamState(handle: number): Promise<StreamState>;
  /** Returns what has arrived at the listening ports since the start or the last `forgetArrivals`. */
  arrivals(request: null): Promise<readonly Arrival[]>;
  forgetArrivals(request: null): Promise<null>;
  /** From now on the process goes on when its standard input ends, and holds no pipe of its client's. */
  keep(request: null): Promise<null>;
}

export type ProbeRequest = { readonly id: number; readonly operation: keyof ProbeApi; readonly request: unknown };
export type ProbeResponse =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };

export interface Target {
  readonly address: string;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
}

export interface DialRequest {
  readonly targets: readonly Target[];
  readonly timeoutMs: number;
  /** How many are tried at once. */
  readonly concurrency: number;
}

/**
 * - `open`: an answer came back, for TCP over an established connection
 * - `refused`: ICMP port unreachable, or a reset in answer to SYN
 * - `unreachable`: another ICMP error, no route, or nobody answered to the address on the link
 * - `broken`: a TCP connection was established, and ended before the answer
 * - `timeout`: nothing came back in time
 */
export type Outcome = 'open' | 'refused' | 'unreachable' | 'broken' | 'timeout';

export interface DialResult {
  readonly outcome: Outcome;
  /** The name of the probe that answered. */
  readonly answeredBy?: string;
  /** The error code of the system, e.g. `EHOSTUNREACH`. */
  readonly error?: string;
}

export interface HammerRequest extends Target {
  readonly intervalMs: number;
  /** How long one attempt may take. */
  readonly timeoutMs: number;
  /** UDP only: all attempts leave from this port and are one flow to conntrack. Without it each has a port of its own. */
  readonly sourcePort?: number;
}

/** One try of a hammer: a TCP connection, or a UDP datagram and its answer. Still under way when the hammer stopped: `timeout`. */
export interface Attempt extends DialResult {
  readonly startedAt: number;
  readonly endedAt: number;
}

/**
 * - `echo`: the client sends a byte every `intervalMs`, the server sends it back
 * - `download`: after one request the server sends every `intervalMs`; of the client only TCP acknowledgements are heard
 * - `idle` (TCP only): a connection over which nothing is sent
 */
export interface StreamRequest extends Target {
  readonly kind: 'echo' | 'download' | 'idle';
  readonly intervalMs: number;
}

/** `ended` says how a stream that is not open any more ended for the client: by a reset, an orderly close, or an error of that code. */
export interface StreamState {
  readonly openedAt: number;
  readonly received: number;
  /** When something came last; `openedAt` if nothing ever did. */
  readonly lastReceivedAt: number;
  readonly ended?: { readonly how: string; readonly at: number };
}

/** A TCP connection that was accepted, or a datagram that came in. */
export interface Arrival extends Target {
  readonly from: string;
  readonly fromPort: number;
  readonly at: number;
}
