import { followIptables } from '../trace/iptables/follow.ts';
import { followNftables } from '../trace/nftables/follow.ts';
import type { Packet } from '../trace/packet.ts';
import type { Way } from '../trace/walk.ts';
import { packageOf, programOf, type Backend } from './backend.ts';
import { bridgeFilterProblem } from './bridgeFilter.ts';
import { kernelTable } from './iptables/filterTable.ts';
import { findTable, type IptablesVariant } from './iptables/sync.ts';
import { readTables } from './nftables/nftSync.ts';
import { ToolMissingError } from './toolMissing.ts';
import { findTool, type Environment } from './tools.ts';

/** A packet's way through what this node's kernel holds of ours now. */
export interface FollowedInKernel {
  readonly way: Way;
  /** What people should know of it. */
  readonly notes: readonly string[];
}

interface Place {
  readonly backend: Backend;
  readonly env: Environment;
}

/** Reads what the packet meets, nothing else, and follows it. Throws a CommandError or a ToolMissingError. */
export function followInKernel(packet: Packet, place: Place): FollowedInKernel {
  const problem = packet.bridged ? bridgeFilterProblem([packet.source]) : undefined;
  if (problem !== undefined)
    return {
      way: { end: 'accept', steps: [], packet },
      notes: [`what a bridge passes on does not come to FORWARD: ${problem}`],
    };
  const { backend, env } = place;
  return backend === 'nftables' ? inNftables(packet, place) : inIptables(packet, { backend, env });
}

function inNftables(packet: Packet, { backend, env }: Place): FollowedInKernel {
  const file = findTool('nft', env);
  if (file === undefined) throw toolMissing(backend, env);
  const tables = readTables({ file, env });
  const notes = tables.inet === undefined ? ['there is no table inet kube-nwplcy'] : [];
  return { way: followNftables(tables, packet), notes };
}

function inIptables(
  packet: Packet,
  { backend, env }: { readonly backend: IptablesVariant; readonly env: Environment },
): FollowedInKernel {
  const table = findTable(packet.family, { backend, env });
  if (table === undefined) throw toolMissing(backend, env);
  const kernel = kernelTable(table);
  return { way: followIptables(kernel, packet), notes: NOTES[kernel.forward] };
}

const NOTES = {
  right: [],
  wrong: ['other rules come before our jump in FORWARD, and may decide before ours'],
  missing: ['nothing in FORWARD leads to our chains'],
} as const;

function toolMissing(backend: Backend, env: Environment): ToolMissingError {
  const [program, install] = [programOf(backend), packageOf(backend)];
  return new ToolMissingError('look into the kernel', { program, install, env });
}
