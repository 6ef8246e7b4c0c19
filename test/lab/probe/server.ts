import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { monotonicMs } from './clock.ts';
import type { Arrival } from './protocol.ts';

/**
 * The answering side. The first word of a datagram or of a connection's first line says what is wanted: `ask NONCE` is answered with the
 * nonce and the server's name, `echo` with everything that comes, `download INTERVAL` with a byte every so many milliseconds, `GET` (over TCP,
 * for a person with curl) with the name as a web page.
 */
export class Server {
  readonly #name: string;
  #arrivals: Arrival[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  async listen({ ports, addresses }: { readonly ports: readonly number[]; readonly addresses: readonly string[] }) {
    const places = addresses.flatMap((address) => ports.map((port) => ({ address, port })));
    await Promise.all(places.flatMap((place) => [this.#listenTcp(place), this.#listenUdp(place)]));
  }

  arrivals(): readonly Arrival[] {
    return this.#arrivals;
  }

  forgetArrivals(): void {
    this.#arrivals = [];
  }

  async #listenTcp({ address, port }: Place): Promise<void> {
    const server = net.createServer({ allowHalfOpen: false, noDelay: true }, (socket) => {
      socket.on('error', () => socket.destroy());
      this.#arrived({ address, port, protocol: 'TCP' }, { from: socket.remoteAddress, fromPort: socket.remotePort });
      socket.once('data', (chunk) => this.#serve(socket, chunk.toString()));
    });
    server.listen({ host: address, port, ipv6Only: true, backlog: 4096 });
    await once(server, 'listening');
  }

  #serve(socket: net.Socket, firstLine: string): void {
    const { word, argument } = parse(firstLine);
    if (word === 'ask') socket.end(`${argument} ${this.#name}\n`);
    if (word === 'GET') socket.end(`HTTP/1.0 200 OK\r\n\r\n${this.#name}\n`);
    if (word === 'echo') socket.pipe(socket);
    if (word === 'download') {
      const timer = setInterval(() => socket.write('.'), Number(argument));
      socket.resume().on('close', () => clearInterval(timer));
    }
  }

  async #listenUdp({ address, port }: Place): Promise<void> {
    const socket = dgram.createSocket({ type: net.isIPv6(address) ? 'udp6' : 'udp4', ipv6Only: net.isIPv6(address) });
    socket.on('error', () => {}); // ICMP errors for answers that could not be delivered
    socket.on('message', (message, { address: from, port: fromPort }) => {
      this.#arrived({ address, port, protocol: 'UDP' }, { from, fromPort });
      const { word, argument } = parse(message.toString());
      if (word === 'ask') socket.send(`${argument} ${this.#name}\n`, fromPort, from);
      if (word === 'echo') socket.send(message, fromPort, from);
      if (word === 'download') setInterval(() => socket.send('.', fromPort, from), Number(argument));
    });
    socket.bind({ address, port });
    await once(socket, 'listening');
  }

  #arrived(
    target: Pick<Arrival, 'address' | 'port' | 'protocol'>,
    { from, fromPort }: { readonly from: string | undefined; readonly fromPort: number | undefined },
  ): void {
    // A connection that was reset before it could be accepted has no remote address any more.
    this.#arrivals.push({ ...target, from: from ?? '', fromPort: fromPort ?? 0, at: monotonicMs() });
  }
}

interface Place {
  readonly address: string;
  readonly port: number;
}

function parse(text: string): { readonly word: string; readonly argument: string } {
  const [line = ''] = text.split('\n');
  const [word = '', argument = ''] = line.trim().split(' ');
  return { word, argument };
}
