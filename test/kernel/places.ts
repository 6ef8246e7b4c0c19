import type { Backend } from '../../src/dataplane/backend.ts';
import type { PodNetworkMode } from '../lab/conflist.ts';
import { isNftables } from './backend.ts';

/** What pods' packets and our rules meet by. */
export interface Place {
  readonly mode: PodNetworkMode;
  readonly backend: Backend;
}

/** Pods on a bridge and pods on links of their own, with the backend under test; iptables has one of its two worlds at each. */
export const PLACES: readonly Place[] = isNftables
  ? [
      { mode: 'bridge', backend: 'nftables' },
      { mode: 'ptp', backend: 'nftables' },
    ]
  : [
      { mode: 'bridge', backend: 'iptables-nft' },
      { mode: 'ptp', backend: 'iptables-legacy' },
    ];
