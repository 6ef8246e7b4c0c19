import { familyOf, type IpFamily } from '../net/family.ts';
import type { AddressPort, NetworkBlock, PeerGroup } from '../policy/model.ts';

/** How a backend writes what is in a set. */
export interface MemberTexts {
  readonly networks: (blocks: readonly NetworkBlock[], family: IpFamily) => readonly string[];
  readonly addressPort: (member: AddressPort) => string;
}

/** The members of a peer group in one family, as a backend writes them. They are worked out when they are asked for, and live as the group's are. */
export class SetMembers implements Iterable<string> {
  readonly #group: PeerGroup;
  readonly #family: IpFamily;
  readonly #texts: MemberTexts;

  constructor(group: PeerGroup, { family, texts }: { readonly family: IpFamily; readonly texts: MemberTexts }) {
    this.#group = group;
    this.#family = family;
    this.#texts = texts;
  }

  /** No two states of a group have the same. Networks have but one: another network is another group. */
  get version(): number {
    return this.#group.kind === 'networks' ? 0 : this.#group.version;
  }

  *[Symbol.iterator](): Generator<string, void, undefined> {
    const group = this.#group;
    if (group.kind === 'networks') yield* this.#texts.networks(group.blocks, this.#family);
    else for (const member of group.members) yield* this.#own([member]);
  }

  /** Returns who came and who went since a version; `undefined` where nobody knows. */
  since(version: number): { readonly added: readonly string[]; readonly removed: readonly string[] } | undefined {
    if (version === this.version) return { added: [], removed: [] };
    const since = this.#group.kind === 'networks' ? undefined : this.#group.since;
    if (since?.version !== version) return undefined;
    return { added: this.#own(since.added), removed: this.#own(since.removed) };
  }

  #own(members: readonly (string | AddressPort)[]): readonly string[] {
    return members.flatMap((member) => {
      const address = typeof member === 'string' ? member : member.address;
      if (familyOf(address) !== this.#family) return [];
      return typeof member === 'string' ? [member] : [this.#texts.addressPort(member)];
    });
  }
}
