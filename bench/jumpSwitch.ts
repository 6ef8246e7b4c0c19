import type { Backend } from '../src/dataplane/backend.ts';
import type { LabNode } from '../test/lab/node.ts';
import { output } from '../test/lab/run.ts';

/** Leads a node's packets through our chains or, by one jump, through a chain without rules. No agent may be at work meanwhile. */
export class JumpSwitch {
  readonly #lead: (to: Place) => Promise<void>;
  #place: Place = 'ours';

  private constructor(lead: (to: Place) => Promise<void>) {
    this.#lead = lead;
  }

  static async on(node: LabNode, backend: Backend): Promise<JumpSwitch> {
    return new JumpSwitch(backend === 'nftables' ? await inNftables(node) : await inIptables(node));
  }

  async set(place: Place): Promise<void> {
    if (place !== this.#place) await this.#lead(place);
    this.#place = place;
  }
}

type Place = 'ours' | 'empty';

const EMPTY_CHAIN = 'BENCH-EMPTY';
const OUR_CHAIN = 'KUBE-NWPLCY-CHAIN';

async function inIptables(node: LabNode): Promise<(to: Place) => Promise<void>> {
  const rules = await output(node.run, ['iptables-nft', '-S']);
  const jumps = rules
    .split('\n')
    .filter((rule) => /^-A (?:FORWARD|OUTPUT) /.test(rule) && rule.endsWith(`-j ${OUR_CHAIN}`));
  if (jumps.length === 0) throw new Error('Cannot measure: nothing leads to the chains of the product');
  await output(node.run, ['iptables-nft', '-N', EMPTY_CHAIN]);
  const empty = jumps.map((jump) => jump.replace(OUR_CHAIN, EMPTY_CHAIN));
  return async (to) => {
    const [old, wanted] = to === 'empty' ? [jumps, empty] : [empty, jumps];
    const lines = [...old.map((jump) => jump.replace(/^-A/, '-D')), ...wanted];
    const input = ['*filter', ...lines, 'COMMIT', ''].join('\n');
    await output(node.run, ['iptables-nft-restore', '--noflush'], { input });
  };
}

/** Our tables sleep meanwhile, and with them all of their hooks: what is left is one table of the bench's own. */
async function inNftables(node: LabNode): Promise<(to: Place) => Promise<void>> {
  const nft = async (commands: readonly string[]) =>
    output(node.run, ['nft', '-f', '-'], { input: commands.map((command) => `${command}\n`).join('') });
  await nft([
    'add table inet bench-jump { flags dormant; }',
    `add chain inet bench-jump ${EMPTY_CHAIN}`,
    'add chain inet bench-jump forward { type filter hook forward priority -10; }',
    `add rule inet bench-jump forward jump ${EMPTY_CHAIN}`,
  ]);
  const tables = { ours: ['inet kube-nwplcy', 'bridge kube-nwplcy'], empty: ['inet bench-jump'] };
  return async (to) => {
    const from = to === 'ours' ? 'empty' : 'ours';
    await nft([
      ...tables[from].map((table) => `add table ${table} { flags dormant; }`),
      ...tables[to].map((table) => `add table ${table}`),
    ]);
  };
}
