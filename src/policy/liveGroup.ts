import type { Pod } from '../kube/pod.ts';
import { cidrContains } from '../net/cidr.ts';
import { Bag } from './bag.ts';
import type { GroupDefinition } from './groupDefinition.ts';
import type { AddressPort, NetworkBlock, PeerGroup } from './model.ts';

/** A group whose members are pods'. */
export type PodGroupDefinition = Exclude<GroupDefinition, { kind: 'networks' }>;

/** The members that pods bring into a group. A pod that is in several times has to leave as often. */
export interface LiveGroup {
  readonly key: string;
  add(pod: Pod): void;
  remove(pod: Pod): void;
  /** Returns the group as it is now: the same object as long as its members are the same. */
  state(): PeerGroup;
}

/** Returns the group of this definition without any pods. */
export function liveGroup(definition: PodGroupDefinition): LiveGroup {
  return definition.kind === 'addresses' ? new Addresses(definition.key) : new AddressPorts(definition);
}

class Addresses implements LiveGroup {
  readonly key: string;
  readonly #bag = new Bag<string>();
  #state: Extract<PeerGroup, { kind: 'addresses' }> | undefined;

  constructor(key: string) {
    this.key = key;
  }

  add({ addresses }: Pod): void {
    for (const address of addresses) this.#bag.add(address, address);
  }

  remove({ addresses }: Pod): void {
    for (const address of addresses) this.#bag.remove(address);
  }

  state(): PeerGroup {
    const membership = this.#bag.membership();
    if (this.#state?.version !== membership.version) this.#state = { kind: 'addresses', key: this.key, ...membership };
    return this.#state;
  }
}

type AddressPortDefinition = Extract<PodGroupDefinition, { kind: 'addressPorts' }>;

class AddressPorts implements LiveGroup {
  readonly #definition: AddressPortDefinition;
  readonly #bag = new Bag<AddressPort>();
  #state: Extract<PeerGroup, { kind: 'addressPorts' }> | undefined;

  constructor(definition: AddressPortDefinition) {
    this.#definition = definition;
  }

  get key(): string {
    return this.#definition.key;
  }

  add(pod: Pod): void {
    for (const member of this.#membersOf(pod)) this.#bag.add(keyOf(member), member);
  }

  remove(pod: Pod): void {
    for (const member of this.#membersOf(pod)) this.#bag.remove(keyOf(member));
  }

  #membersOf({ addresses, namedPorts }: Pod): readonly AddressPort[] {
    const { port, of } = this.#definition;
    const ports = namedPorts.filter(({ name, protocol }) => name === port.name && protocol === port.protocol);
    if (ports.length === 0) return [];
    const held = of !== 'all' && 'cidr' in of ? addresses.filter((address) => isIn(of, address)) : addresses;
    return ports.flatMap(({ protocol, port: number }) => held.map((address) => ({ address, protocol, port: number })));
  }

  state(): PeerGroup {
    const membership = this.#bag.membership();
    if (this.#state?.version !== membership.version)
      this.#state = { kind: 'addressPorts', key: this.key, ...membership };
    return this.#state;
  }
}

function keyOf({ address, port }: AddressPort): string {
  return `${address} ${port}`;
}

function isIn({ cidr, except }: NetworkBlock, address: string): boolean {
  return cidrContains(cidr, address) && !except.some((hole) => cidrContains(hole, address));
}
