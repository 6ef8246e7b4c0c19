import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { monotonicMs } from './clock.ts';
import { errorCode } from './outcome.ts';
import type { StreamRequest, StreamState } from './protocol.ts';

/** A long-lived flow, from the client's end. */
export class Stream {
  readonly #openedAt = monotonicMs();
  #lastReceivedAt = this.#openedAt;
  #received = 0;
  #ended: { readonly how: string; readonly at: number } | undefined;

  /** Returns a stream once it is established; throws the system's error if it cannot be. */
  static async open(request: StreamRequest): Promise<Stream> {
    return request.protocol === 'TCP' ? openTcp(request) : openUdp(request);
  }

  received(bytes: number): void {
    this.#received += bytes;
    this.#lastReceivedAt = monotonicMs();
  }

  end(how: string): void {
    this.#ended ??= { how, at: monotonicMs() };
  }

  state(): StreamState {
    const ended = this.#ended === undefined ? {} : { ended: this.#ended };
    return { openedAt: this.#openedAt, received: this.#received, lastReceivedAt: this.#lastReceivedAt, ...ended };
  }
}

async function openTcp({ address, port, kind, intervalMs }: StreamRequest): Promise<Stream> {
  const socket = net.connect({ host: address, port, noDelay: true });
  await once(socket, 'connect');
  const stream = new Stream();
  const timer = setInterval(() => (kind === 'echo' ? socket.write('.') : undefined), intervalMs);
  socket.on('data', (chunk) => stream.received(chunk.length));
  socket.on('error', (error) => stream.end(errorCode(error) === 'ECONNRESET' ? 'reset' : errorCode(error)));
  socket.on('close', () => (clearInterval(timer), stream.end('closed')));
  if (kind !== 'idle') socket.write(firstLine({ kind, intervalMs }));
  return stream;
}

async function openUdp({ address, port, kind, intervalMs }: StreamRequest): Promise<Stream> {
  const socket = dgram.createSocket(net.isIPv6(address) ? 'udp6' : 'udp4');
  socket.connect(port, address);
  await once(socket, 'connect');
  const stream = new Stream();
  socket.on('message', (message) => stream.received(message.length));
  socket.on('error', (error) => stream.end(errorCode(error)));
  socket.send(firstLine({ kind, intervalMs }));
  if (kind === 'echo') setInterval(() => socket.send('echo'), intervalMs);
  return stream;
}

function firstLine({ kind, intervalMs }: Pick<StreamRequest, 'kind' | 'intervalMs'>): string {
  return kind === 'download' ? `download ${intervalMs}\n` : 'echo\n';
}
