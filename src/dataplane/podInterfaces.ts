import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { familyOf } from '../net/family.ts';
import { isPlainInterfaceName } from '../net/interfaceName.ts';
import type { PodHooks } from '../rules/pod.ts';
import { CommandError } from './commandError.ts';
import { NodeLinks } from './nodeLinks.ts';
import { runProgram } from './runProgram.ts';

/** A pod's interface on the node's side, and how its packets come in. */
export type PodInterface = Pick<PodHooks, 'bridged'> & { readonly hostInterface: string };

/** What the kernel knows of the links and their neighbours. */
export interface Tables {
  /** The bridge of each veth; `undefined` for one that is no port. */
  readonly veths: ReadonlyMap<string, string | undefined>;
  readonly neighbours: ReadonlyMap<string, Neighbour>;
  readonly stations: readonly Station[];
}

/** What an address resolves to. */
export interface Neighbour {
  readonly device: string;
  readonly linkAddress: string;
}

/** A link address that a bridge has seen behind one of its ports. */
export interface Station {
  readonly bridge: string;
  readonly port: string;
  readonly linkAddress: string;
}

/** How often the tables are looked at while a pod that was called has not answered. */
const LOOK_EVERY_MS = 20;

/**
 * Returns the interface behind which each of these addresses of running pods is, as far as the kernel can tell: the veth that a host route leads
 * to, or the bridge's veth port where the address's link address was seen. Pods that have been quiet are called, and
 * waited for so many milliseconds.
 *
 * To be sure matters more than to find one: what is taken for a pod's interface drops every other source's packets. So it is a veth, and no other
 * link address was seen behind it. Throws a CommandError.
 */
export async function findPodInterfaces(
  addresses: readonly string[],
  { patienceMs }: { readonly patienceMs: number },
): Promise<ReadonlyMap<string, PodInterface>> {
  const links = new NodeLinks();
  const found = new Map<string, PodInterface>();
  const look = async () => {
    const tables = await readTables();
    for (const address of addresses) {
      const at = interfaceAt({ address, route: links.routeTo(address) }, tables);
      if (at !== undefined) found.set(address, at);
    }
    return addresses.filter((address) => !found.has(address));
  };
  const end = performance.now() + patienceMs;
  for (let missing = await look(); missing.length > 0; missing = await look()) {
    await Promise.all(missing.map(call));
    if (performance.now() >= end) break;
    await sleep(LOOK_EVERY_MS);
  }
  return found;
}

/** Returns the interface of an address; `route` is the interface of a host route to it. */
export function interfaceAt(
  { address, route }: { readonly address: string; readonly route: string | undefined },
  tables: Tables,
): PodInterface | undefined {
  return routed(route, tables.veths) ?? bridged(tables.neighbours.get(address), tables);
}

function routed(name: string | undefined, veths: Tables['veths']): PodInterface | undefined {
  // A route to a bridge's port leads nowhere.
  return name !== undefined && veths.has(name) && veths.get(name) === undefined
    ? { hostInterface: name, bridged: false }
    : undefined;
}

function bridged(
  neighbour: Neighbour | undefined,
  { veths, stations }: Pick<Tables, 'veths' | 'stations'>,
): PodInterface | undefined {
  const at = stations.find(
    ({ bridge, linkAddress }) => bridge === neighbour?.device && linkAddress === neighbour.linkAddress,
  );
  if (at === undefined || veths.get(at.port) !== at.bridge) return undefined;
  const isAlone = stations.every(({ port, linkAddress }) => port !== at.port || linkAddress === at.linkAddress);
  return isAlone ? { hostInterface: at.port, bridged: true } : undefined;
}

/** Makes the kernel resolve the address, and the pod's answer pass the bridge: a datagram to the discard port (RFC 863). */
async function call(address: string): Promise<void> {
  const socket = createSocket(familyOf(address) === 'ipv4' ? 'udp4' : 'udp6');
  // Nobody is there, or there is no way: then there is nothing to find.
  await new Promise((resolve) => socket.on('error', resolve).send('', 9, address, resolve));
  socket.close();
}

async function readTables(): Promise<Tables> {
  const [veths, neighbours, stations] = await Promise.all([
    rows('ip', ['-json', 'link', 'show', 'type', 'veth']),
    rows('ip', ['-json', 'neighbour', 'show']),
    rows('bridge', ['-json', 'fdb', 'show']),
  ]);
  return {
    veths: new Map(
      veths.flatMap(({ ifname, master }) =>
        ifname === undefined || !isPlainInterfaceName(ifname) ? [] : [[ifname, master]],
      ),
    ),
    neighbours: new Map(
      neighbours.flatMap(({ dst, dev, lladdr }) =>
        dst === undefined || dev === undefined || lladdr === undefined
          ? []
          : [[dst, { device: dev, linkAddress: lladdr }]],
      ),
    ),
    // Permanent entries are the ports' own addresses.
    stations: stations.flatMap(({ mac, ifname, master, state }) =>
      mac === undefined || ifname === undefined || master === undefined || state === 'permanent'
        ? []
        : [{ bridge: master, port: ifname, linkAddress: mac }],
    ),
  };
}

type Row = Partial<Record<'ifname' | 'master' | 'dst' | 'dev' | 'lladdr' | 'mac' | 'state', string>>;

/** Runs a program of iproute2 that prints a JSON list of objects; of their fields only texts are kept. */
async function rows(file: string, args: readonly string[]): Promise<readonly Row[]> {
  const result = await runProgram(file, { args });
  if (result.failed) throw new CommandError({ file, args, result });
  const list: unknown = JSON.parse(result.stdout || '[]');
  return Array.isArray(list) ? list.map((row: object) => textFields(row)) : [];
}

function textFields(row: object): Row {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => typeof value === 'string'));
}
