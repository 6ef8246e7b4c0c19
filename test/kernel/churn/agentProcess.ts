import { setTimeout as sleep } from 'node:timers/promises';

/** What a program of Node's has. */
export interface Held {
  /** What is reachable, and what garbage collection does not find out about. */
  readonly bytes: number;
  /** What keeps it going, such as timers and sockets, by its kind. */
  readonly resources: Readonly<Record<string, number>>;
}

const INSPECTOR = 'http://127.0.0.1:9229/json/list';

/** Has a program of Node's, in this network namespace, collect its garbage, and returns what it has then. Its inspector stays open. */
export async function heldBy(pid: number): Promise<Held> {
  process.kill(pid, 'SIGUSR1');
  const socket = await connect();
  try {
    await ask(socket, 'HeapProfiler.collectGarbage');
    const { result } = (await ask(socket, 'Runtime.evaluate', { expression: EXPRESSION })) as EvaluationResult;
    return JSON.parse(result.value) as Held;
  } finally {
    socket.close();
  }
}

interface EvaluationResult {
  readonly result: { readonly value: string };
}

const EXPRESSION = `(() => {
  const { heapUsed, external } = process.memoryUsage();
  const resources = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  return JSON.stringify({ bytes: heapUsed + external, resources });
})()`;

/** The inspector opens some time after it was told to. */
async function connect(): Promise<WebSocket> {
  for (;;) {
    try {
      const [target] = (await (await fetch(INSPECTOR)).json()) as readonly { readonly webSocketDebuggerUrl: string }[];
      const socket = new WebSocket(target?.webSocketDebuggerUrl ?? '');
      await new Promise((resolve, reject) => {
        socket.addEventListener('open', resolve);
        socket.addEventListener('error', reject);
      });
      return socket;
    } catch {
      await sleep(50);
    }
  }
}

async function ask(socket: WebSocket, method: string, params: object = {}): Promise<unknown> {
  const answered = new Promise<MessageEvent>((resolve) => socket.addEventListener('message', resolve, { once: true }));
  socket.send(JSON.stringify({ id: 1, method, params }));
  const answer = JSON.parse(String((await answered).data)) as { readonly result?: unknown; readonly error?: unknown };
  if (answer.error !== undefined) throw new Error(`The inspector refuses ${method}: ${JSON.stringify(answer.error)}`);
  return answer.result;
}
