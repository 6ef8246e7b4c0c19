import { test } from 'vitest';
import { backendUnderTest } from './backend.ts';
import { assertNothingIsLeft } from './churn/longRun.ts';

// What an agent sees in some ten minutes of a large cluster's; test/slow has an hour's.

const EVENTS = 20_000;

test(`${EVENTS} events leave nothing behind`, { timeout: 900_000 }, async () => {
  await assertNothingIsLeft({ backend: backendUnderTest, events: EVENTS });
});
