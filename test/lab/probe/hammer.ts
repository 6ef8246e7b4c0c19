import dgram from 'node:dgram';
import net from 'node:net';
import { monotonicMs } from './clock.ts';
import { dial } from './dial.ts';
import type { Attempt, DialResult, HammerRequest } from './protocol.ts';

/** Tries one target again and again, at a fixed rate whatever becomes of the attempts, and keeps the time of each. */
export interface Hammer {
  stop(): readonly Attempt[];
}

export function startHammer(request: HammerRequest): Hammer {
  return request.sourcePort === undefined ? hammerByDialling(request) : hammerFromOnePort(request, request.sourcePort);
}

function hammerByDialling(request: HammerRequest): Hammer {
  const attempts = new Set<PendingAttempt>();
  const ticker = everyInterval(request.intervalMs, () => {
    const attempt: PendingAttempt = { startedAt: monotonicMs(), result: undefined };
    attempts.add(attempt);
    void complete(attempt, dial(request, request.timeoutMs));
  });
  return { stop: () => (ticker.stop(), [...attempts].map(finished)) };
}

interface PendingAttempt {
  readonly startedAt: number;
  result: Omit<Attempt, 'startedAt'> | undefined;
}

async function complete(attempt: PendingAttempt, dialling: Promise<DialResult>): Promise<void> {
  const result = await dialling;
  attempt.result = { ...result, endedAt: monotonicMs() };
}

function finished({ startedAt, result }: PendingAttempt): Attempt {
  return { startedAt, ...(result ?? { outcome: 'timeout', endedAt: monotonicMs() }) };
}

/** One flow for conntrack. The socket is not connected and so hears of no ICMP error: an attempt is answered or it is not. */
function hammerFromOnePort({ address, port, intervalMs }: HammerRequest, sourcePort: number): Hammer {
  const attempts: PendingAttempt[] = [];
  const socket = dgram.createSocket(net.isIPv6(address) ? 'udp6' : 'udp4');
  socket.on('error', () => {});
  socket.on('message', (message) => {
    const [number, answeredBy] = message.toString().trim().split(' ');
    const attempt = attempts[Number(number)];
    if (attempt !== undefined && answeredBy !== undefined)
      attempt.result = { outcome: 'open', answeredBy, endedAt: monotonicMs() };
  });
  socket.bind(sourcePort);
  const ticker = everyInterval(intervalMs, () => {
    const number = attempts.push({ startedAt: monotonicMs(), result: undefined }) - 1;
    socket.send(`ask ${number}\n`, port, address, () => {});
  });
  return { stop: () => (ticker.stop(), socket.close(), attempts.map(finished)) };
}

/** Calls `action` now and every so many milliseconds on the average: what a late timer missed is made up, up to a few at once. */
function everyInterval(intervalMs: number, action: () => void): { stop(): void } {
  let next = monotonicMs() + intervalMs;
  action();
  const timer = setInterval(() => {
    const now = monotonicMs();
    next = Math.max(next, now - 10 * intervalMs);
    for (; next <= now; next += intervalMs) action();
  }, intervalMs);
  return { stop: () => clearInterval(timer) };
}
