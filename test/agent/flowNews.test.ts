import { describe, expect, test } from 'vitest';
import { FlowNews } from '../../src/agent/flowNews.ts';
import type { DeniedFlow } from '../../src/rendezvous/deniedFlow.ts';
import { deniedFlow } from '../helpers/deniedFlow.ts';

const FLOW = deniedFlow();
const AUDITED = deniedFlow({ audit: true, direction: 'egress', protocol: 'ICMP', port: null });

/** Returns what is new in a look, after one that saw what is known. */
function newsOf(flows: readonly DeniedFlow[], known: readonly DeniedFlow[]): readonly DeniedFlow[] {
  const news = new FlowNews();
  news.take(known);
  return news.take(flows);
}

describe('what came since the last look', () => {
  test('is what is new, and how much more came of what is known', () => {
    expect(newsOf([FLOW, AUDITED], [])).toEqual([FLOW, AUDITED]);
    expect(newsOf([FLOW, AUDITED], [FLOW, AUDITED])).toEqual([]);
    expect(newsOf([{ ...FLOW, packets: 5 }], [FLOW])).toEqual([{ ...FLOW, packets: 2 }]);
  });

  test('is a flow anew that was forgotten meanwhile', () => {
    expect(newsOf([{ ...FLOW, packets: 1 }], [FLOW])).toEqual([{ ...FLOW, packets: 1 }]);
  });
});
