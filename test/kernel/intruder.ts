import type { LabNode } from '../lab/node.ts';
import { output } from '../lab/run.ts';
import { isNftables } from './backend.ts';
import { OUR_TABLES } from './breaking.ts';

/** Somebody who comes in front of our rules, and takes away what leads packets to them. */
export interface Intruder {
  /** Puts what accepts every packet before ours. */
  comes(node: LabNode): Promise<void>;
  /** Takes that away again. */
  goes(node: LabNode): Promise<void>;
  /** Deletes what leads packets to our rules. */
  cutsOff(node: LabNode): Promise<void>;
  /** Tells whether packets are led to our rules, and before they meet those of others. */
  isBeaten(node: LabNode): Promise<boolean>;
}

const FAMILIES = ['ip', 'ip6'] as const;

const iptables: Intruder = {
  comes: async ({ run }) => {
    const rules = FAMILIES.map((family) => `insert rule ${family} filter FORWARD meta l4proto tcp ${ACCEPT}\n`);
    await output(run, ['nft', '-f', '-'], { input: rules.join('') });
  },
  goes: async (node) => deleteRules(node, ACCEPT),
  cutsOff: async (node) => deleteRules(node, 'jump KUBE-NWPLCY-CHAIN'),
  isBeaten: async (node) => (await forwardRules(node)).every(([first = '']) => isOurJump(first)),
};

const ACCEPT = 'accept comment "intruder"';

/** An `accept` of nft ends but the chain of its hook: whoever comes before ours, or to the same priority, accepts nothing for us. */
const nft: Intruder = {
  comes: async ({ run }) => {
    await output(run, ['nft', '-f', '-'], { input: INTRUDING_TABLE });
  },
  goes: async ({ run }) => {
    await output(run, ['nft', 'delete', 'table', 'inet', 'intruder']);
  },
  cutsOff: async ({ run }) => {
    for (const table of OUR_TABLES) await output(run, ['nft', 'delete', 'table', ...table.split(' ')]);
  },
  isBeaten: async ({ run }) => {
    const tables = await output(run, ['nft', 'list', 'tables']);
    return OUR_TABLES.every((table) => tables.includes(`table ${table}\n`));
  },
};

const INTRUDING_TABLE = `table inet intruder {
  chain first { type filter hook prerouting priority -400; policy accept; accept; }
  chain early { type filter hook forward priority -300; policy accept; accept; }
  chain same { type filter hook forward priority filter - 10; policy accept; accept; }
}
`;

/** The one of the backend under test. */
export const intruder = isNftables ? nft : iptables;

/** Returns how many of our jumps are in FORWARD of each family; none with nftables. */
export async function jumpCounts(node: LabNode): Promise<readonly number[]> {
  return (await forwardRules(node)).map((rules) => rules.filter(isOurJump).length);
}

function isOurJump(rule: string): boolean {
  return rule.trim() === 'counter jump KUBE-NWPLCY-CHAIN';
}

/** Deletes the rules of FORWARD that end like this, by what nft calls them. */
async function deleteRules({ run }: LabNode, end: string): Promise<void> {
  for (const family of FAMILIES) {
    const text = await output(run, ['nft', '--handle', 'list', 'chain', family, 'filter', 'FORWARD']);
    const handles = text.split('\n').flatMap((line) => {
      const [rule = '', handle] = line.split(' # handle ');
      return rule.endsWith(end) && handle !== undefined ? [handle] : [];
    });
    for (const handle of handles) await run(['nft', 'delete', 'rule', family, 'filter', 'FORWARD', 'handle', handle]);
  }
}

/** Returns the rules of FORWARD in each family, as nft prints them. */
async function forwardRules({ run }: LabNode): Promise<readonly (readonly string[])[]> {
  const texts = FAMILIES.map(async (family) =>
    output(run, ['nft', '--stateless', 'list', 'chain', family, 'filter', 'FORWARD']),
  );
  return (await Promise.all(texts)).map((text) =>
    text
      .split('\n')
      .filter((line) => line.startsWith('\t\t'))
      .slice(1),
  );
}
