/** Which pods are shown with an address. */
export class AddressOwners {
  // Nearly always one: a list for each would take several times the memory.
  readonly #owners = new Map<string, string | readonly string[]>();

  /** Returns the keys of the pods with an address. */
  of(address: string): readonly string[] {
    const owners = this.#owners.get(address) ?? [];
    return typeof owners === 'string' ? [owners] : owners;
  }

  /** Takes over that a pod is shown with other addresses. */
  move(key: string, before: readonly string[], after: readonly string[]): void {
    if (before === after) return;
    for (const address of before)
      this.#set(
        address,
        this.of(address).filter((owner) => owner !== key),
      );
    for (const address of after) this.#set(address, [...this.of(address), key]);
  }

  #set(address: string, [first, ...others]: readonly string[]): void {
    if (first === undefined) this.#owners.delete(address);
    else this.#owners.set(address, others.length === 0 ? first : [first, ...others]);
  }
}
