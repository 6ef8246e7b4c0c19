import type { IpFamily } from '../net/family.ts';
import { CommandError } from './commandError.ts';
import { hasNothingToDelete } from './conntrackErrors.ts';
import { runProgram } from './runProgram.ts';

/** A UDP flow as conntrack tracks it: from the one that sent first, to the one that it really reached (after DNAT). */
export interface TrackedFlow {
  readonly family: IpFamily;
  readonly source: string;
  readonly sourcePort: number;
  /** Where the first packet was sent to; another address than `destination` when a Service stood between. */
  readonly sentTo: string;
  readonly sentToPort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

/** Deletes every flow that the address began: what answers to a pod that is gone must not count as a reply to the next holder of its address. */
export async function deleteFlowsFrom(address: string, family: IpFamily): Promise<void> {
  await run(['-D', '-f', family, '-s', address]);
}

/** Deletes UDP flows, those that differ in the source port alone (a client's many questions to a server) by one command. */
export async function deleteUdpFlows(flows: readonly TrackedFlow[], kept: readonly TrackedFlow[]): Promise<void> {
  const groupOf = ({ family, source, sentTo, sentToPort }: TrackedFlow) =>
    `${family} ${source} ${sentTo} ${sentToPort}`;
  const mixed = new Set(kept.map(groupOf));
  const whole = new Map(flows.filter((flow) => !mixed.has(groupOf(flow))).map((flow) => [groupOf(flow), flow]));
  const single = flows.filter((flow) => mixed.has(groupOf(flow)));
  for (const flow of whole.values()) await run(deletion(flow));
  for (const flow of single) await run([...deletion(flow), '--sport', String(flow.sourcePort)]);
}

function deletion({ family, source, sentTo, sentToPort }: TrackedFlow): readonly string[] {
  return ['-D', '-f', family, '-p', 'udp', '-s', source, '-d', sentTo, '--dport', String(sentToPort)];
}

/** Returns the UDP flows of one family. Throws a CommandError. */
export async function listUdpFlows(family: IpFamily): Promise<readonly TrackedFlow[]> {
  return parseConntrack(await run(['-L', '-f', family, '-p', 'udp']), family);
}

/** Reads what `conntrack -L` prints: each line tells the original direction, then the reply's. */
export function parseConntrack(text: string, family: IpFamily): readonly TrackedFlow[] {
  const tuple = String.raw`src=(\S+) dst=(\S+) sport=([0-9]+) dport=([0-9]+)`;
  const line = new RegExp(`${tuple}.*? ${tuple}`);
  return text.split('\n').flatMap((entry) => {
    const match = line.exec(entry);
    if (match === null) return [];
    const [, source = '', sentTo = '', sourcePort, sentToPort, destination = '', , destinationPort] = match;
    return {
      family,
      source,
      sourcePort: Number(sourcePort),
      sentTo,
      sentToPort: Number(sentToPort),
      destination,
      destinationPort: Number(destinationPort),
    };
  });
}

async function run(args: readonly string[]): Promise<string> {
  const result = await runProgram('conntrack', { args });
  if (result.failed && !hasNothingToDelete(result.stderr)) throw new CommandError({ file: 'conntrack', args, result });
  return result.stdout;
}
