import type { PortRange } from '../../policy/model.ts';
import { END_CHAINS, profileName } from '../names.ts';
import type { Profile } from '../profile.ts';
import type { PortClass } from '../portClasses.ts';
import type { Chain, Rule } from './chain.ts';
import { rangeMatches } from './portMatch.ts';

/** How many rules a chain on the way has at most: a packet passes half of them at each step. */
const BRANCHES = 8;

interface Search {
  /** Those that lead in. */
  readonly rules: readonly Rule[];
  /** Those on the way, each before those that it leads to. */
  readonly chains: readonly Chain[];
}

/** Returns the search tree that leads each packet to the class of its port; where there is none it goes on behind the rules, or is refused. */
export function portSearch(classes: readonly PortClass[], whole: SearchedProfile): Search {
  const searches = [...Map.groupBy(classes, ({ range }) => range.protocol).values()].map((some) =>
    searchOf(
      some.map(({ range, profile }) => ({ range, target: profile.name })),
      whole,
    ),
  );
  return { rules: searches.flatMap(({ rules }) => rules), chains: searches.flatMap(({ chains }) => chains) };
}

type SearchedProfile = Pick<Profile, 'direction' | 'others'>;

interface Branch {
  readonly range: PortRange;
  readonly target: string;
}

function searchOf(branches: readonly Branch[], whole: SearchedProfile): Search {
  const rules = branches.map(ruleOf);
  if (branches.length <= BRANCHES) return { rules, chains: [] };
  const parts = Math.ceil(branches.length / BRANCHES);
  const nodes = Array.from({ length: parts }, (_, index) => {
    const [from, to] = [index, index + 1].map((edge) => Math.floor((edge * branches.length) / parts));
    return nodeOf(branches.slice(from, to), whole);
  });
  const above = searchOf(
    nodes.map(({ branch }) => branch),
    whole,
  );
  return { rules: above.rules, chains: [...above.chains, ...nodes.map(({ chain }) => chain)] };
}

/** Returns the chain of a few branches, by a name that tells what is in it, and the branch that leads there. */
function nodeOf(
  branches: readonly Branch[],
  { direction, others }: SearchedProfile,
): { readonly chain: Chain; readonly branch: Branch } {
  const rules = [...branches.map(ruleOf), `-g ${END_CHAINS[others][direction]}`];
  const name = profileName(direction, ['ports', ...rules]);
  const [first, last] = [branches.at(0), branches.at(-1)];
  if (first === undefined || last === undefined) throw new RangeError('A chain on the way leads nowhere');
  return { chain: { name, rules }, branch: { range: { ...first.range, to: last.range.to }, target: name } };
}

function ruleOf({ range, target }: Branch): Rule {
  const [match] = rangeMatches([range]);
  return [match?.protocol, match?.port, `-g ${target}`].filter((part) => part !== '').join(' ');
}
