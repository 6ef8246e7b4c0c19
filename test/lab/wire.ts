import { join } from 'node:path';
import { familyOf, type IpFamily } from '../../src/net/family.ts';
import { nodeAddress, podCidr, WIRE_CIDR } from './addressing.ts';
import { holdNamespace, type HeldNamespace } from './namespace.ts';
import { output, runner, type Run } from './run.ts';

/** What a namespace needs so that it can be joined to the wire. */
export interface WireEnd {
  readonly pid: number;
  readonly run: Run;
}

/** The link that joins nodes and hosts: a bridge in a namespace of its own. */
export class Wire {
  readonly #run: Run;
  readonly #families: readonly IpFamily[];

  private constructor(held: HeldNamespace, families: readonly IpFamily[], variables: Readonly<Record<string, string>>) {
    this.#run = runner(held.enter, variables);
    this.#families = families;
  }

  static async make(families: readonly IpFamily[], variables: Readonly<Record<string, string>>): Promise<Wire> {
    const script = join(import.meta.dirname, 'wire.sh');
    const held = await holdNamespace(['sh', script], { mounts: false, environment: variables });
    return new Wire(held, families, variables);
  }

  /** Joins a node and routes the pods of the other nodes, as a host-gw network does. */
  async joinNode(end: WireEnd, { number, of }: { readonly number: number; readonly of: number }): Promise<void> {
    const prefixes = { ipv4: 24, ipv6: 64 };
    await this.#plug(end, `node-${number}`, [
      ...this.#families.map((family) => `address add ${nodeAddress(number, family)}/${prefixes[family]} dev eth0`),
      ...this.#podRoutes(numbersTo(of).filter((other) => other !== number)),
    ]);
  }

  /** Joins a host. It is alone in its network, whatever its addresses are: all others are behind routes. */
  async joinHost(end: WireEnd, { name, addresses, nodes }: HostPlace): Promise<void> {
    await this.#plug(end, name, [
      ...addresses.map((address) => `address add ${address}/${familyOf(address) === 'ipv4' ? 32 : 128} dev eth0`),
      ...this.#families.map((family) => `route add ${WIRE_CIDR[family]} dev eth0`),
      ...this.#podRoutes(numbersTo(nodes.length)),
    ]);
    const routes = addresses.map((address) => `route add ${address} dev eth0`);
    await Promise.all(nodes.map(({ run }) => ip(run, routes)));
  }

  async #plug({ pid, run }: WireEnd, port: string, lines: readonly string[]): Promise<void> {
    const peer = `link add ${port} type veth peer name eth0 netns ${pid}`;
    await ip(this.#run, [peer, `link set ${port} master wire up`]);
    await ip(run, ['link set eth0 up', ...lines]);
  }

  #podRoutes(numbers: readonly number[]): readonly string[] {
    return numbers.flatMap((number) =>
      this.#families.map((family) => `route add ${podCidr(number, family)} via ${nodeAddress(number, family)}`),
    );
  }
}

interface HostPlace {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly nodes: readonly WireEnd[];
}

async function ip(run: Run, lines: readonly string[]): Promise<void> {
  await output(run, ['ip', '-batch', '-'], { input: lines.map((line) => `${line}\n`).join('') });
}

function numbersTo(last: number): readonly number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}
