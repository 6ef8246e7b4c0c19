import { test } from 'vitest';
import { assertNothingIsLeft } from '../kernel/churn/longRun.ts';

// What an agent sees in an hour of a large cluster's, as fast as it can take it.

const EVENTS = 100_000;

test.for(['iptables-nft', 'nftables'] as const)(
  `${EVENTS} events leave nothing behind with %s`,
  { timeout: 3_600_000 },
  async (backend) => {
    await assertNothingIsLeft({ backend, events: EVENTS });
  },
);
