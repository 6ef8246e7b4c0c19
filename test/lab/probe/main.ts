import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { dialAll } from './dial.ts';
import { startHammer, type Hammer } from './hammer.ts';
import type { ProbeApi, ProbeRequest, ProbeResponse } from './protocol.ts';
import { Server } from './server.ts';
import { Stream } from './stream.ts';

// The program that runs in a namespace: node main.ts NAME. It ends when its standard input does, so that it cannot outlive its lab.

const server = new Server(process.argv[2] ?? '');
const hammers: Hammer[] = [];
const streams: Stream[] = [];
let isKept = false;

const api: ProbeApi = {
  listen: async (request) => (await server.listen(request), null),
  dial: dialAll,
  startHammer: async (request) => hammers.push(startHammer(request)) - 1,
  stopHammer: async (handle) => at(hammers, handle).stop(),
  openStream: async (request) => streams.push(await Stream.open(request)) - 1,
  streamState: async (handle) => at(streams, handle).state(),
  arrivals: async () => server.arrivals(),
  forgetArrivals: async () => (server.forgetArrivals(), null),
  keep: async () => (outliveClient(), null),
};

const lines = createInterface(process.stdin);
lines.on('line', (line) => void answer(JSON.parse(line) as ProbeRequest));
lines.on('close', () => (isKept ? undefined : process.exit()));

// A pipe that is standard error would never come to its end for whoever reads it.
function outliveClient(): void {
  isKept = true;
  closeSync(2);
  openSync('/dev/null', 'w');
}

async function answer({ id, operation, request }: ProbeRequest): Promise<void> {
  // The request is of the operation's own type: the client's signature says so.
  const call = api[operation] as (request: unknown) => Promise<unknown>;
  const response: ProbeResponse = await call(request).then(
    (result) => ({ id, result }),
    (error: unknown) => ({ id, error: String(error) }),
  );
  process.stdout.write(`${JSON.stringify(response)}\n`);
}

function at<Item>(items: readonly Item[], handle: number): Item {
  const item = items[handle];
  if (item === undefined) throw new Error(`Cannot find what was started: there is no handle ${handle}`);
  return item;
}
