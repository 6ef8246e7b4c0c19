import { linkSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listen } from '../../src/agent/socket.ts';
import type { AgentReply, AgentRequest } from '../../src/rendezvous/agentSocket.ts';

let dir: string;
let path: string;
const servers: Server[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'socket-'));
  path = `${dir}/agent.sock`;
});
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  rmSync(dir, { recursive: true });
});

const SYNCED: AgentReply = { kind: 'synced', problems: [] };

async function serve(answer: (request: AgentRequest) => Promise<AgentReply> = async () => SYNCED): Promise<Server> {
  const server = await listen(path, answer);
  servers.push(server);
  return server;
}

async function connected(): Promise<Socket> {
  const socket = connect({ path, allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

/** Sends a request whole and returns the reply. */
async function ask(request: string | Buffer): Promise<unknown> {
  const socket = await connected();
  socket.end(request);
  return JSON.parse(await text(socket));
}

test('a request is answered, many at once', async () => {
  await serve(async ({ ask: asked }) => ({ kind: 'failed', message: asked }));
  const replies = await Promise.all(['status', 'sync', 'x'].map((asked) => ask(JSON.stringify({ ask: asked }))));
  expect(replies).toEqual(['status', 'sync', 'x'].map((message) => ({ kind: 'failed', message })));
});

test('a request may come in pieces, and the reply be long', async () => {
  const message = 'é'.repeat(1_000_000);
  await serve(async () => ({ kind: 'failed', message }));
  const socket = await connected();
  for (const piece of ['{"as', 'k":"sta', 'tus"}\n']) {
    socket.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.end();
  expect(JSON.parse(await text(socket))).toEqual({ kind: 'failed', message });
});

test('the socket is root’s alone', async () => {
  await serve();
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('an answer that cannot be given is told', async () => {
  await serve(async () => {
    throw new RangeError('Cannot refresh: the directory is gone');
  });
  expect(await ask('{"ask":"sync"}')).toEqual({ kind: 'failed', message: 'Cannot refresh: the directory is gone' });
});

test.for([
  { what: 'nothing', request: '' },
  { what: 'no JSON', request: 'GET / HTTP/1.1\r\n\r\n' },
  { what: 'bytes that are no text', request: Buffer.from([0xff, 0xfe, 0, 1]) },
  { what: 'half a request', request: '{"ask":' },
])('$what is answered as a failure, and the agent goes on', async ({ request }) => {
  await serve();
  expect(await ask(request)).toMatchObject({ kind: 'failed', message: expect.stringContaining('JSON') });
  expect(await ask('{"ask":"sync"}')).toEqual(SYNCED);
});

// An error that nobody hears would end the agent.
describe('who hangs up early does no harm', () => {
  test('before asking', async () => {
    await serve();
    (await connected()).destroy();
    expect(await ask('{"ask":"sync"}')).toEqual(SYNCED);
  });

  test('in the middle of the request', async () => {
    await serve();
    const socket = await connected();
    socket.write('{"ask":');
    await new Promise((resolve) => setImmediate(resolve));
    socket.destroy();
    expect(await ask('{"ask":"sync"}')).toEqual(SYNCED);
  });

  test('before the answer is there', async () => {
    let give = (): void => {};
    const given = new Promise<void>((resolve) => (give = resolve));
    let asked = (): void => {};
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    await serve(async ({ ask: request }) => {
      if (request !== 'status') return SYNCED;
      asked();
      await given;
      return { kind: 'failed', message: 'x'.repeat(1_000_000) };
    });
    const socket = await connected();
    socket.end('{"ask":"status"}');
    await isAsked;
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 20));
    give();
    expect(await ask('{"ask":"sync"}')).toEqual(SYNCED);
  });

  test('in the middle of the answer', async () => {
    await serve(async ({ ask: request }) =>
      request === 'sync' ? SYNCED : { kind: 'failed', message: 'x'.repeat(10_000_000) },
    );
    for (let count = 0; count < 10; count += 1) {
      const socket = await connected();
      socket.end('{"ask":"status"}');
      await once(socket, 'readable');
      socket.destroy();
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await ask('{"ask":"sync"}')).toEqual(SYNCED);
  });
});

describe('one agent a runtime directory', () => {
  const refusal = () =>
    `Cannot start: another agent already serves "${path}"; stop it first or use another --runtime-dir`;

  test('the second says so, and the first goes on', async () => {
    await serve();
    await expect(listen(path, async () => SYNCED)).rejects.toMatchObject({
      name: 'AgentRunningError',
      message: refusal(),
    });
    expect(await ask('{"ask":"sync"}')).toEqual(SYNCED);
  });

  test('of two that start at once one does', async () => {
    const both = await Promise.allSettled([listen(path, async () => SYNCED), listen(path, async () => SYNCED)]);
    servers.push(...both.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])));
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(both.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []))).toEqual([
      `AgentRunningError: ${refusal()}`,
    ]);
    expect(await ask('{"ask":"sync"}')).toEqual(SYNCED);
  });

  test('a socket that a killed agent left is taken over', async () => {
    // Closing removes the file, as a killed agent does not: another path to the same socket stays.
    const dead = createServer().listen(`${dir}/dead.sock`);
    await once(dead, 'listening');
    linkSync(`${dir}/dead.sock`, path);
    await new Promise((resolve) => dead.close(resolve));
    expect(statSync(path).isSocket()).toBe(true);
    await serve();
    expect(await ask('{"ask":"sync"}')).toEqual(SYNCED);
  });

  test('what is no socket is in the way no more', async () => {
    writeFileSync(path, '');
    await serve();
    expect(await ask('{"ask":"sync"}')).toEqual(SYNCED);
  });

  test('a directory that is gone is an error', async () => {
    path = `${dir}/nowhere/agent.sock`;
    await expect(serve()).rejects.toThrow(`listen EACCES: permission denied ${path}`);
  });

  test('an agent that ended gives the directory back', async () => {
    const server = await serve();
    await new Promise((resolve) => server.close(resolve));
    servers.length = 0;
    await serve();
    expect(await ask('{"ask":"sync"}')).toEqual(SYNCED);
  });
});
