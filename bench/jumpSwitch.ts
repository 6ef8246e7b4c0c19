import type { Backend } from '../src/dataplane/backend.ts';
import type { LabNode } from '../test/lab/node.ts';
import { output } from '../test/lab/run.ts';

/** Leads a node's packets through our chains or, by the same number of rules, through a chain without rules. No agent may be at work meanwhile. */
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

const TABLE = 'inet kube-nwplcy';

/** What comes in is not held against its source's lock either. */
async function inNftables(node: LabNode): Promise<(to: Place) => Promise<void>> {
  await output(node.run, ['nft', `add chain ${TABLE} ${EMPTY_CHAIN}; add chain bridge kube-nwplcy ${EMPTY_CHAIN}`]);
  return async (to) => {
    const [policies, sources, bridged] =
      to === 'ours' ? ['policies', 'sources', 'bridged'] : [EMPTY_CHAIN, EMPTY_CHAIN, EMPTY_CHAIN];
    const lead = (chain: string, rule: string) => [`flush chain ${chain}`, `add rule ${chain} ${rule}`];
    const commands = [
      ...lead(`${TABLE} forward`, `jump ${policies}`),
      ...lead(`${TABLE} output`, `fib saddr type != local jump ${policies}`),
      ...lead(`${TABLE} prerouting`, `iifname @interfaces jump ${sources}`),
      ...lead('bridge kube-nwplcy prerouting', `iifname @interfaces jump ${sources}`),
      ...lead('bridge kube-nwplcy forward', `iifname @interfaces jump ${bridged}`),
    ];
    await output(node.run, ['nft', '-f', '-'], { input: `${commands.join('\n')}\n` });
  };
}
