import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend } from '../../src/dataplane/backend.ts';
import type { IptablesVariant } from '../../src/dataplane/iptables/sync.ts';
import type { LabNode } from '../lab/node.ts';
import { output } from '../lab/run.ts';
import { withoutNoted } from '../lab/snapshot.ts';
import { settledLines } from './settled.ts';

/** The tables of nft that are ours, as nft calls them. */
export const OUR_TABLES = ['inet kube-nwplcy', 'bridge kube-nwplcy'] as const;

/** Returns the iptables programs of a backend, one for each family. */
export function programsOf(backend: IptablesVariant): readonly string[] {
  return [backend, backend.replace('iptables', 'ip6tables')];
}

/** Returns what is ours in a node's kernel, in the form of `settledSnapshot`. */
export async function ownLines({ run }: LabNode, backend: Backend): Promise<readonly (readonly string[])[]> {
  const isOurs = backend === 'nftables' ? /^(?:inet|bridge) kube-nwplcy\b/ : /NWPLCY/;
  const commands =
    backend === 'nftables'
      ? [['nft', '--stateless', 'list', 'ruleset']]
      : [...programsOf(backend).map((tool) => [`${tool}-save`]), ['ipset', 'save', '-sorted']];
  const texts = await Promise.all(commands.map(async (argv) => output(run, argv)));
  return texts.map((text) =>
    settledLines(withoutNoted(text).replaceAll(/\[\d+:\d+\]/g, '')).filter((line) => isOurs.test(line)),
  );
}

/** Returns all rules and sets of a node but ours, whatever writes them, and in nft's words with their handles: a rule made anew has another one. */
export async function foreignRules({ run }: LabNode): Promise<string> {
  const commands = [
    ['nft', '--stateless', '--handle', 'list', 'ruleset'],
    ['iptables-legacy-save'],
    ['ip6tables-legacy-save'],
    ['ipset', 'save', '-sorted'],
  ];
  const [nft = '', ...texts] = await Promise.all(commands.map(async (argv) => output(run, argv)));
  const foreign = nft
    .replaceAll(/^table (?:inet|bridge) kube-nwplcy \{.*\n(?:\t.*\n|\n)*\}\n/gm, '')
    .replaceAll(/^\tchain \S*NWPLCY\S* \{.*\n(?:\t\t.*\n)*\t\}\n/gm, '')
    .replaceAll(/^\t\t.*jump KUBE-NWPLCY-CHAIN # handle \d+\n/gm, '')
    // iptables makes the chains of hooks as it needs them.
    .replaceAll(/^\tchain [A-Z]+ \{.*\n\t\ttype .*; policy accept;\n\t\}\n/gm, '');
  const lines = [foreign, ...texts].join('\n').split('\n');
  return lines
    .filter((line) => line !== '' && !OURS_ELSEWHERE.test(line))
    .map((line) => line.replace(/\[\d+:\d+\]/, ''))
    .join('\n');
}

// In what iptables and ipset save.
const OURS_ELSEWHERE = /^(?:create|add) NWPLCY|^:\S*NWPLCY|^-A \S*NWPLCY|-j KUBE-NWPLCY-CHAIN$|^#/;

/** Takes all that is ours out of a node's kernel, and of iptables all that is not ours either, as an operator in despair does. */
export async function takeAllAway({ run }: LabNode, backend: Backend): Promise<void> {
  if (backend === 'nftables') {
    for (const table of OUR_TABLES) await output(run, ['nft', 'delete', 'table', ...table.split(' ')]);
    return;
  }
  for (const program of programsOf(backend)) for (const flag of ['-F', '-X']) await output(run, [program, flag]);
  await output(run, ['ipset', 'destroy']);
}

/**
 * Makes the agent look at our rules again and again, and returns what ends that. With iptables it does so by itself; with nft somebody has to put
 * something of his own into our table.
 */
export function disturb({ run }: LabNode, backend: Backend): () => void {
  if (backend !== 'nftables') return () => {};
  const ended = new AbortController();
  const rounds = async () => {
    while (!ended.signal.aborted) {
      // Where our table is not there for a moment, or the lab is gone, nobody is disturbed.
      await run(['nft', 'add', 'chain', 'inet', 'kube-nwplcy', 'stranger']).catch(() => {});
      await sleep(100);
    }
  };
  void rounds();
  return () => ended.abort();
}
