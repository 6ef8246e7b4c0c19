import { existsSync } from 'node:fs';
import type { NoAgentError } from './agentClient.ts';
import type { CommandIo } from './io.ts';

/** What it means for a node that no agent answers, and what to do. */
export class NoAgentAnswer {
  readonly #lines: readonly string[];
  readonly #error: NoAgentError;

  constructor(error: NoAgentError, runtimeDir: string) {
    this.#error = error;
    const meaning = existsSync(runtimeDir) ? WAS_HERE : WAS_NEVER_HERE;
    this.#lines = [error.message, ...(error.isAbsent ? meaning : [])];
  }

  tell(io: CommandIo, { output }: { readonly output: 'text' | 'json' }): void {
    const { message } = this.#error;
    if (output === 'json') io.stdout(`${JSON.stringify({ protected: null, noAgent: message })}\n`);
    io.stderr(`${this.#lines.join('\n')}\n`);
  }
}

const WAS_HERE: readonly string[] = [
  'What that means: the rules that are in the kernel stay in force, and nothing opens. Changes of policies, labels and pods are not heard. A new pod',
  'is quarantined: it starts after a wait and is refused everything until an agent is back (with "whenAgentDown": "allow" it starts open).',
  'What to do: see why the agent ended (its log, or "kubectl -n kube-nwplcy get pods -o wide"), and start it; nothing else needs to be restarted.',
];

const WAS_NEVER_HERE: readonly string[] = [
  'What that means: no agent has run here since the node booted, unless with another --runtime-dir. No policy is in force.',
  'What to do: install kube-nwplcy and start its agent; "kube-nwplcy doctor" says what the node lacks for it.',
];
