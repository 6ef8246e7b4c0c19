import { expect, test } from 'vitest';
import { deniedLines, deniedTable } from '../../src/cli/deniedText.ts';
import type { DeniedFlow } from '../../src/rendezvous/deniedFlow.ts';
import { deniedFlow } from '../helpers/deniedFlow.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const FLOW = deniedFlow({
  from: { address: '10.244.1.5', pod: 'clients/web' },
  to: { address: '10.244.1.6', pod: 'shop/db' },
  port: 6379,
  firstSeen: '2026-01-01T11:57:00.000Z',
  lastSeen: '2026-01-01T11:59:58.000Z',
  policies: ['shop/default-deny', 'shop/db'],
});
const AUDITED: DeniedFlow = {
  ...FLOW,
  audit: true,
  direction: 'egress',
  to: { address: '8.8.8.8', pod: null },
  protocol: 'ICMP',
  port: null,
  policies: [],
};

test('the table', () => {
  expect(deniedTable([FLOW, AUDITED], NOW)).toMatchInlineSnapshot(`
    "LAST SEEN  FIRST SEEN  PACKETS  REFUSED         FROM                      TO                    PORT      POLICIES
    2s ago     3m ago      3        ingress         clients/web (10.244.1.5)  shop/db (10.244.1.6)  6379/TCP  shop/default-deny,shop/db
    2s ago     3m ago      3        egress (audit)  clients/web (10.244.1.5)  8.8.8.8               ICMP      -
    "
  `);
  expect(deniedTable([], NOW)).toBe('Nothing was refused lately\n');
});

test('a line for each that comes, without what would move a terminal', () => {
  expect(deniedLines([FLOW, { ...AUDITED, protocol: '\u001b[2J' }])).toMatchInlineSnapshot(`
    "2026-01-01T11:59:58.000Z ingress clients/web (10.244.1.5) -> shop/db (10.244.1.6) 6379/TCP packets=3 policies=shop/default-deny,shop/db
    2026-01-01T11:59:58.000Z egress (audit) clients/web (10.244.1.5) -> 8.8.8.8 \\u{1b}[2J packets=3 policies=-
    "
  `);
});
