import { OPEN, type PodHooks } from '../pod.ts';
import { addElements } from './commands.ts';
import { podTable } from './podTable.ts';
import { verdictOf, type NftCommands } from './table.ts';

const CREATE = 'create';

/**
 * Returns commands that tell, run dry, whether all that hooks a pod in is there: the kernel refuses to create an element where there is one, and to
 * add it where that one has another verdict. A chain is there when an element can lead to it. To list or to get elements would be simpler, but then
 * nft reads the members of all sets first.
 */
export function presenceCommands(hooks: PodHooks): NftCommands {
  return podTable(hooks, OPEN).elements.flatMap(({ family, set, key, rest }) => {
    const verdict = verdictOf(rest);
    const added = addElements(family, { set, elements: [[key, verdict === '' ? '' : ` : ${verdict}`]] });
    return [...added.map((command) => command.replace(/^add/, CREATE)), ...(verdict === '' ? [] : added)];
  });
}

/** Tells whether all of it is there, from what nft printed: each creation was refused because there is one already, and nothing else was refused. */
export function arePresent(commands: NftCommands, printed: string): boolean {
  const errors = printed.split('\n').filter((line) => line.includes('Error: '));
  const refused = errors.map((line) => Number(/:(\d+):\d+-\d+: Error: .*: File exists$/.exec(line)?.[1]));
  const creations = commands.flatMap((command, index) => (command.startsWith(CREATE) ? [index + 1] : []));
  return creations.length > 0 && refused.join() === creations.join();
}
