import dgram from 'node:dgram';
import net from 'node:net';
import { errorCode, outcomeOfError } from './outcome.ts';
import type { DialRequest, DialResult, Target } from './protocol.ts';

/** Tries the targets, so many at once, and returns the results in their order. */
export async function dialAll({ targets, timeoutMs, concurrency }: DialRequest): Promise<readonly DialResult[]> {
  const results: DialResult[] = [];
  let next = 0;
  async function work(): Promise<void> {
    for (let index = next++; index < targets.length; index = next++) {
      const target = targets[index];
      if (target !== undefined) results[index] = await dial(target, timeoutMs);
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, targets.length) }, work));
  return results;
}

/** Asks a probe's server once over a connection or from a port of its own. */
export async function dial(target: Target, timeoutMs: number): Promise<DialResult> {
  return target.protocol === 'TCP' ? dialTcp(target, timeoutMs) : dialUdp(target, timeoutMs);
}

let nonces = 0;

function dialTcp({ address, port }: Target, timeoutMs: number): Promise<DialResult> {
  const { promise, resolve, reject } = Promise.withResolvers<DialResult>();
  const nonce = String(++nonces);
  const socket = net.connect({ host: address, port, noDelay: true });
  let isEstablished = false;
  let answer = '';
  function end(result: DialResult): void {
    clearTimeout(timer);
    resolve(result);
    // A reset leaves no TIME_WAIT behind: a hammer would run out of ports. But it would wait for a connection that is still being made.
    if (socket.connecting) socket.destroy();
    else socket.resetAndDestroy();
  }
  const timer = setTimeout(() => end({ outcome: 'timeout' }), timeoutMs);
  socket.on('connect', () => {
    isEstablished = true;
    socket.write(`ask ${nonce}\n`);
  });
  socket.on('data', (chunk) => {
    answer += chunk.toString();
    const result = readAnswer(answer, nonce);
    if (result !== undefined) end(result);
  });
  socket.on('end', () => end({ outcome: 'broken' }));
  socket.on('error', (error) => {
    try {
      end({ outcome: isEstablished ? 'broken' : outcomeOfError(error), error: errorCode(error) });
    } catch (bug) {
      reject(bug);
    }
  });
  return promise;
}

function dialUdp({ address, port }: Target, timeoutMs: number): Promise<DialResult> {
  const { promise, resolve, reject } = Promise.withResolvers<DialResult>();
  const nonce = String(++nonces);
  const socket = dgram.createSocket(net.isIPv6(address) ? 'udp6' : 'udp4');
  let isEnded = false;
  function end(result: DialResult): void {
    if (isEnded) return;
    isEnded = true;
    clearTimeout(timer);
    socket.close();
    resolve(result);
  }
  const timer = setTimeout(() => end({ outcome: 'timeout' }), timeoutMs);
  function fail(error: unknown): void {
    try {
      end({ outcome: outcomeOfError(error), error: errorCode(error) });
    } catch (bug) {
      reject(bug);
    }
  }
  socket.on('error', fail);
  // Only a connected socket is told of ICMP errors.
  socket.on('connect', () => socket.send(`ask ${nonce}\n`, (error) => (error ? fail(error) : undefined)));
  socket.on('message', (message) => {
    const result = readAnswer(message.toString(), nonce);
    if (result !== undefined) end(result);
  });
  socket.connect(port, address);
  return promise;
}

function readAnswer(text: string, nonce: string): DialResult | undefined {
  if (!text.endsWith('\n')) return undefined;
  const [echoed, answeredBy] = text.trim().split(' ');
  return echoed === nonce && answeredBy !== undefined ? { outcome: 'open', answeredBy } : undefined;
}
