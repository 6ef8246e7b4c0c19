import { rmSync } from 'node:fs';
import net, { type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

// The program of `Forwarder`: node forwarderProgram.ts. Each line of its standard input is a `Forward`; when it is in force, the line comes back.
// It ends when its standard input does.

/** Where to listen, a path or HOST:PORT, and the HOST:PORT to which whatever comes in goes from now on. */
export interface Forward {
  readonly from: string;
  readonly to: string;
}

interface Listener {
  readonly server: Server;
  to: string;
  readonly sockets: Set<Socket>;
}

const listeners = new Map<string, Listener>();

const lines = createInterface(process.stdin);
lines.on('line', (line) => {
  const forward = JSON.parse(line) as Forward;
  void put(forward).then(() => process.stdout.write(`${line}\n`));
});
lines.on('close', () => process.exit());

async function put({ from, to }: Forward): Promise<void> {
  const known = listeners.get(from);
  if (known === undefined) return listen({ from, to });
  known.to = to;
  for (const socket of known.sockets) socket.destroy();
}

async function listen({ from, to }: Forward): Promise<void> {
  const listener: Listener = { server: net.createServer(), to, sockets: new Set() };
  listeners.set(from, listener);
  listener.server.on('connection', (client) => join(client, listener));
  const { promise, resolve } = Promise.withResolvers<void>();
  if (from.startsWith('/')) rmSync(from, { force: true });
  listener.server.listen(from.startsWith('/') ? { path: from } : endpoint(from), resolve);
  await promise;
}

function join(client: Socket, { to, sockets }: Listener): void {
  const server = net.connect(endpoint(to));
  for (const { socket, other } of [
    { socket: client, other: server },
    { socket: server, other: client },
  ]) {
    sockets.add(socket);
    socket.pipe(other);
    socket.on('error', () => {}); // told by `close`
    socket.on('close', () => {
      sockets.delete(socket);
      other.destroy();
    });
  }
}

function endpoint(text: string): { readonly host: string; readonly port: number } {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
}
