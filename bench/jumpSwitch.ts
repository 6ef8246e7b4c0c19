import type { LabNode } from '../test/lab/node.ts';
import { output } from '../test/lab/run.ts';

const EMPTY_CHAIN = 'BENCH-EMPTY';
const OUR_CHAIN = 'KUBE-NWPLCY-CHAIN';

/** Leads a node's packets through our chains or, by the same number of rules, through a chain without rules. No agent may be at work meanwhile. */
export class JumpSwitch {
  readonly #node: LabNode;
  /** The jumps as `iptables -S` has them. */
  readonly #jumps: readonly string[];
  #leadsTo: 'ours' | 'empty' = 'ours';

  private constructor(node: LabNode, jumps: readonly string[]) {
    this.#node = node;
    this.#jumps = jumps;
  }

  static async on(node: LabNode): Promise<JumpSwitch> {
    const rules = await output(node.run, ['iptables-nft', '-S']);
    const jumps = rules
      .split('\n')
      .filter((rule) => /^-A (?:FORWARD|OUTPUT) /.test(rule) && rule.endsWith(`-j ${OUR_CHAIN}`));
    if (jumps.length === 0) throw new Error('Cannot measure: nothing leads to the chains of the product');
    await output(node.run, ['iptables-nft', '-N', EMPTY_CHAIN]);
    return new JumpSwitch(node, jumps);
  }

  async set(leadsTo: 'ours' | 'empty'): Promise<void> {
    if (leadsTo === this.#leadsTo) return;
    const empty = this.#jumps.map((jump) => jump.replace(OUR_CHAIN, EMPTY_CHAIN));
    const [old, wanted] = leadsTo === 'empty' ? [this.#jumps, empty] : [empty, this.#jumps];
    const lines = [...old.map((jump) => jump.replace(/^-A/, '-D')), ...wanted];
    const input = ['*filter', ...lines, 'COMMIT', ''].join('\n');
    await output(this.#node.run, ['iptables-nft-restore', '--noflush'], { input });
    this.#leadsTo = leadsTo;
  }
}
