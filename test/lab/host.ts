import type { Party } from './matrix.ts';
import type { Probe } from './probe.ts';

/** A host on the wire that is no part of the cluster. */
export class LabHost implements Party {
  readonly key: string;
  readonly addresses: readonly string[];
  readonly probe: Probe;

  constructor(key: string, { addresses, probe }: { readonly addresses: readonly string[]; readonly probe: Probe }) {
    this.key = key;
    this.addresses = addresses;
    this.probe = probe;
  }

  endpoint(address: string) {
    return { kind: 'address', address } as const;
  }
}
