import { chmodSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { AgentReply, AgentRequest } from '../rendezvous/agentSocket.ts';

/** Another agent holds the runtime directory. */
class AgentRunningError extends Error {
  override readonly name = 'AgentRunningError';
}

/**
 * Listens for the command line, and so claims the runtime directory: one agent each. Returns the server; close it to give the directory back.
 * Throws an AgentRunningError when another agent answers there.
 */
export async function listen(path: string, answer: (request: AgentRequest) => Promise<AgentReply>): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => void serve(socket, answer));
  try {
    await bind(server, path);
  } catch (error) {
    if (!isInUse(error)) throw error;
    if (await isAnswered(path))
      throw new AgentRunningError(
        `Cannot start: another agent already serves "${path}"; stop it first or use another --runtime-dir`,
      );
    // Nobody answers: what lies there is left from an agent that was killed.
    rmSync(path, { force: true });
    await bind(server, path);
  }
  chmodSync(path, 0o600);
  return server;
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function isInUse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    const settle = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

/** One request a connection: the asker writes it and closes its side. */
async function serve(socket: Socket, answer: (request: AgentRequest) => Promise<AgentReply>): Promise<void> {
  socket.on('error', () => socket.destroy());
  try {
    socket.end(JSON.stringify(await reply(await readAll(socket), answer)));
  } catch {
    // Whoever hangs up early gets no answer.
    socket.destroy();
  }
}

/** Reads until the asker closes its side. (Iterating the socket would close ours as well.) */
function readAll(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let request = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk) => (request += String(chunk)));
    socket.once('end', () => resolve(request));
    socket.once('close', reject);
  });
}

async function reply(request: string, answer: (request: AgentRequest) => Promise<AgentReply>): Promise<AgentReply> {
  try {
    return await answer(JSON.parse(request) as AgentRequest);
  } catch (error) {
    return { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
}
