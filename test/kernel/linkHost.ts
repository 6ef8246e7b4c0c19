import { join } from 'node:path';
import { familyOf } from '../../src/net/family.ts';
import type { Lab } from '../lab/lab.ts';
import type { LabPod } from '../lab/pod.ts';
import { output } from '../lab/run.ts';
import { Tap } from './tap.ts';

/** What one party on a link is known by. */
export interface LinkHost {
  readonly link: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly local: string;
}

/** Starts to note what comes in at a pod. */
export async function tapOf(lab: Lab, { run, name }: LabPod): Promise<Tap> {
  return Tap.start(run, { device: 'eth0', file: join(lab.directory, `${name}.tap`) });
}

/** Calls a pod, so that the way to it is known. */
export async function call(from: LabPod, to: LabPod): Promise<void> {
  await from.probe.dial(to.addresses.map((address) => ({ address, port: 80, protocol: 'TCP' })));
}

/** Returns the link address to which a pod sends what goes to an address. */
export async function nextLink({ run }: LabPod, address: string): Promise<string> {
  const next = / via (\S+)/.exec(await output(run, ['ip', 'route', 'get', address]))?.[1] ?? address;
  const known = await output(run, ['ip', 'neighbour', 'show', next, 'dev', 'eth0']);
  const link = /lladdr (\S+)/.exec(known)?.[1];
  if (link === undefined) throw new Error(`Cannot find the neighbour ${next} on the way to ${address}: ${known}`);
  return link;
}

/** Returns what an interface is known by. */
export async function hostOf({ run }: Pick<LabPod, 'run'>, device: string): Promise<LinkHost> {
  const text = await output(run, ['ip', '-o', 'address', 'show', 'dev', device]);
  const addresses = [...text.matchAll(/inet6? (\S+)\//g)].map(([, address = '']) => address);
  const find = (matches: (address: string) => boolean) => addresses.find(matches) ?? '';
  const link = await output(run, ['ip', '-o', 'link', 'show', 'dev', device]);
  return {
    link: /link\/ether (\S+)/.exec(link)?.[1] ?? '',
    ipv4: find((address) => familyOf(address) === 'ipv4'),
    ipv6: find((address) => familyOf(address) === 'ipv6' && !address.startsWith('fe80:')),
    local: find((address) => address.startsWith('fe80:')),
  };
}
