import { createConnection } from 'node:net';
import { text } from 'node:stream/consumers';
import { agentSocketPath, type AgentReply, type AgentRequest } from '../rendezvous/agentSocket.ts';

/** The agent did not answer: it is not running, or not in time. */
export class NoAgentError extends Error {
  override readonly name = 'NoAgentError';
  /** Whether nobody listens, as opposed to one that is slow, or that only root may ask. */
  readonly isAbsent: boolean;

  constructor(message: string, code?: string) {
    super(message);
    this.isAbsent = code === 'ENOENT' || code === 'ECONNREFUSED';
  }
}

/** Asks the agent of a runtime directory. Throws a NoAgentError that says what to do, also when the answer takes longer than `timeoutMs`. */
export async function askAgent(
  request: AgentRequest,
  { runtimeDir, timeoutMs }: { readonly runtimeDir: string; readonly timeoutMs: number },
): Promise<AgentReply> {
  const path = agentSocketPath(runtimeDir);
  const socket = createConnection(path);
  const timer = setTimeout(
    () => socket.destroy(new NoAgentError(`No answer from the agent at "${path}" within ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    socket.end(JSON.stringify(request));
    const reply = await text(socket);
    if (reply === '') throw new NoAgentError(`The agent at "${path}" hung up without an answer: look at its log`);
    return JSON.parse(reply) as AgentReply;
  } catch (error) {
    throw explain(error, path);
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function explain(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof NoAgentError || !('code' in error)) return error;
  const advice =
    error.code === 'EACCES'
      ? 'run this as root'
      : 'start "kube-nwplcy agent", or give the --runtime-dir that it was given';
  return new NoAgentError(`Cannot reach the agent at "${path}": ${String(error.code)}; ${advice}`, String(error.code));
}
