import { setTimeout as sleep } from 'node:timers/promises';
import { askAgent, NoAgentError } from './agentClient.ts';

const LOOK_EVERY_MS = 250;

/**
 * Resolves when there is an agent, and the kernel holds everything that its source held when it was asked. Throws a NoAgentError after so many
 * milliseconds, and an Error when the agent says that it cannot.
 */
export async function waitSynced(runtimeDir: string, timeoutMs: number): Promise<void> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    try {
      const reply = await askAgent(
        { ask: 'sync' },
        { runtimeDir, timeoutMs: Math.max(1, Math.ceil(end - performance.now())) },
      );
      if (reply.kind === 'synced') return;
      throw new Error(reply.kind === 'failed' ? reply.message : 'The agent is of another version');
    } catch (error) {
      const mayCome = error instanceof NoAgentError && error.isAbsent;
      if (!mayCome || performance.now() + LOOK_EVERY_MS >= end) throw error;
    }
    await sleep(LOOK_EVERY_MS);
  }
}
