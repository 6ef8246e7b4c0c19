import { existsSync, readFileSync } from 'node:fs';
import { until } from './containerd.ts';
import type { CriClient } from './criClient.ts';

/** Returns the process id of a sandbox's own process. */
export async function sandboxPid(cri: CriClient, podSandboxId: string): Promise<number> {
  const request = { podSandboxId, verbose: true };
  const { info } = await cri.call<VerboseStatus>('RuntimeService.PodSandboxStatus', request);
  return (JSON.parse(info.info) as { readonly pid: number }).pid;
}

interface VerboseStatus {
  /** A text of JSON. */
  readonly info: { readonly info: string };
}

/** Returns once something in the process's network namespace listens at TCP port 80. */
export async function untilListening(pid: number): Promise<void> {
  // proc_net_tcp(5): any address, port 80, state LISTEN.
  const listening = ':0050 00000000000000000000000000000000:0000 0A';
  await until('listen', () => readFileSync(`/proc/${pid}/net/tcp6`, 'utf8').includes(listening));
}

/** Returns the lines that a container has printed to its standard output, from its log. */
export function printedLines(logFile: string): readonly string[] {
  if (!existsSync(logFile)) return [];
  // `TIME stdout F LINE`, the CRI's format of logs.
  const lines = readFileSync(logFile, 'utf8').split('\n');
  return lines.flatMap((line) => /^\S+ stdout F (.*)$/.exec(line)?.[1] ?? []);
}
