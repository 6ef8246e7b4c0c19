import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { askAgent } from '../../src/cli/agentClient.ts';
import type { Lab } from '../../test/lab/lab.ts';
import type { LabNode } from '../../test/lab/node.ts';
import { monotonicMs } from '../../test/lab/probe.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');

export interface PolicyChange {
  /** Files of examples/, which are put into the directory that the agents watch. */
  readonly put?: readonly string[];
  /** Files that are taken out of it. */
  readonly remove?: readonly string[];
}

export interface AppliedChange {
  /** When the first file was changed (`monotonicMs`). */
  readonly at: number;
  /** From then until the kernel of each node held it. */
  readonly milliseconds: number;
}

/** Changes the manifests and returns once the kernels of all nodes hold what they say now. */
export async function changePolicies(lab: Lab, { put = [], remove = [] }: PolicyChange): Promise<AppliedChange> {
  const texts = put.map((file) => ({ file, text: readFileSync(join(EXAMPLES, file), 'utf8') }));
  const times = [
    ...texts.map(({ file, text }) => lab.manifests.write(file, text)),
    ...remove.map((file) => lab.manifests.remove(file)),
  ];
  await Promise.all(lab.nodes.map(sync));
  const at = Math.min(...times);
  return { at, milliseconds: monotonicMs() - at };
}

/** Asks as `kube-nwplcy sync` does, without the time that a program takes to start. */
async function sync(node: LabNode): Promise<void> {
  const reply = await askAgent({ ask: 'sync' }, { runtimeDir: node.inside(node.runtimeDir), timeoutMs: 30_000 });
  if (reply.kind !== 'synced') throw new Error(`Cannot sync ${node.name}: the agent answers ${JSON.stringify(reply)}`);
  const [problem] = reply.problems;
  if (problem !== undefined) throw new Error(`Cannot sync ${node.name}: ${problem.where}: ${problem.message}`);
}
