import { describe, expect, test } from 'vitest';
import { DeniedEvents, type PodDenial } from '../../src/agent/deniedEvents.ts';
import { deniedEvent } from '../../src/agent/deniedEventText.ts';
import type { DeniedFlow } from '../../src/rendezvous/deniedFlow.ts';
import { deniedFlow } from '../helpers/deniedFlow.ts';

const FLOW = deniedFlow({ packets: 12, policies: ['shop/deny-all'] });

/** Looks at times of a clock of its own, with the pods of a node. */
class Looks {
  now = 1000;
  readonly uids = new Map([['shop/db', 'uid-1']]);
  readonly events = new DeniedEvents();

  constructor() {
    this.events.take([], this.#context());
  }

  after(seconds: number, ...flows: readonly DeniedFlow[]): readonly PodDenial[] {
    this.now += seconds * 1000;
    return this.events.take(flows, this.#context());
  }

  messages(seconds: number, ...flows: readonly DeniedFlow[]): readonly string[] {
    return this.after(seconds, ...flows).map((denial) => deniedEvent(denial).message);
  }

  putBack(denial: PodDenial | undefined): void {
    if (denial !== undefined) this.events.putBack(denial, this.#context());
  }

  #context() {
    return {
      now: this.now,
      localPod: (key: string) => {
        const [namespace = '', name = ''] = key.split('/');
        const uid = this.uids.get(key);
        return uid === undefined ? undefined : { namespace, name, uid };
      },
    };
  }
}

describe('a refusal is told', () => {
  test('at the pod that refused it, at once, in words', () => {
    const [denial, ...others] = new Looks().after(10, FLOW);
    expect(others).toEqual([]);
    expect(denial && deniedEvent(denial)).toEqual({
      pod: { namespace: 'shop', name: 'db', uid: 'uid-1' },
      reason: 'NetworkPolicyDenied',
      message: 'Refused 12 packets from clients/web (10.0.0.1) to port 80/TCP: isolated by shop/deny-all',
      at: Date.parse(FLOW.lastSeen),
    });
  });

  test('at the sender, where it was the sender that may not', () => {
    const looks = new Looks();
    looks.uids.set('clients/web', 'uid-2');
    const denials = looks.after(10, { ...FLOW, direction: 'egress', packets: 1, policies: [] });
    expect(denials.map(({ pod }) => pod.name)).toEqual(['web']);
    expect(denials.map((denial) => deniedEvent(denial).message)).toEqual([
      'Refused 1 packet to shop/db (10.0.0.2) port 80/TCP: it is in quarantine, or the policy is gone',
    ]);
  });

  test('of audit mode as one that was none', () => {
    const [denial] = new Looks().after(10, { ...FLOW, audit: true, protocol: 'ICMP', port: null });
    expect(denial && deniedEvent(denial)).toMatchObject({
      reason: 'NetworkPolicyWouldDeny',
      message: 'Would have refused 12 packets from clients/web (10.0.0.1) to ICMP: isolated by shop/deny-all',
    });
  });

  test('by nobody, at a pod that is not of this node, or at none', () => {
    const elsewhere = { ...FLOW, to: { address: '10.0.0.3', pod: 'shop/elsewhere' } };
    expect(new Looks().after(10, elsewhere, { ...FLOW, to: { address: '10.0.0.4', pod: null } })).toEqual([]);
  });

  test('by nobody, where it was there before the first look', () => {
    const events = new DeniedEvents();
    const context = { now: 0, localPod: () => ({ namespace: 'shop', name: 'db', uid: undefined }) };
    expect(events.take([FLOW], context)).toEqual([]);
    const [denial] = events.take([{ ...FLOW, packets: 15 }], context);
    expect(denial?.flows.map(({ packets }) => packets)).toEqual([3]);
  });

  test('with the largest flow in words, and the packets of all others', () => {
    const others = Array.from({ length: 40 }, (_, index) => ({ ...FLOW, port: 1000 + index, packets: 2 }));
    expect(new Looks().messages(10, ...others.slice(0, 10), FLOW, ...others.slice(10))).toEqual([
      'Refused 12 packets from clients/web (10.0.0.1) to port 80/TCP, and 80 packets of others: isolated by shop/deny-all',
    ]);
  });

  test('in no more than the API takes, whatever names there are', () => {
    const name = (letter: string) => `${letter.repeat(63)}/${letter.repeat(253)}`;
    const policies = ['a', 'b', 'c', 'd', 'e'].map(name);
    const [message = ''] = new Looks().messages(10, {
      ...FLOW,
      from: { address: '10.0.0.1', pod: name('p') },
      policies,
    });
    expect(message.length).toBe(1000);
    const [short] = new Looks().messages(10, { ...FLOW, policies: ['a/1', 'a/2', 'a/3', 'a/4', 'a/5'] });
    expect(short).toMatch(/: isolated by a\/1, a\/2, a\/3, and 2 others$/);
  });

  test('without what a name would do to a terminal', () => {
    const [message] = new Looks().messages(10, { ...FLOW, from: { address: '10.0.0.1', pod: 'clients/\u001B[2J\n' } });
    expect(message).toMatch('from clients/\\u{1b}[2J\\u{a} (10.0.0.1)');
  });
});

describe('of one end', () => {
  test('is told once in five minutes, and then of all that came meanwhile', () => {
    const looks = new Looks();
    looks.after(10, FLOW);
    expect(looks.after(10, { ...FLOW, packets: 20 })).toEqual([]);
    expect(looks.after(280, { ...FLOW, packets: 30 })).toEqual([]);
    expect(looks.messages(10, { ...FLOW, packets: 30 })).toEqual([
      'Refused 18 packets from clients/web (10.0.0.1) to port 80/TCP: isolated by shop/deny-all',
    ]);
    expect(looks.after(1000, { ...FLOW, packets: 30 })).toEqual([]);
  });

  test('directions and audit mode are told by themselves', () => {
    const looks = new Looks();
    const egress: DeniedFlow = { ...FLOW, direction: 'egress', from: FLOW.to, to: FLOW.from };
    expect(looks.after(10, FLOW, egress, { ...FLOW, audit: true }, { ...egress, audit: true }).length).toBe(4);
  });

  test('what could not be told is told in the next one', () => {
    const looks = new Looks();
    const others = Array.from({ length: 20 }, (_, index) => ({ ...FLOW, port: 1000 + index, packets: 2 }));
    const [denial] = looks.after(10, FLOW, ...others);
    looks.putBack(denial);
    expect(looks.after(10, FLOW, ...others)).toEqual([]);
    expect(looks.messages(300, { ...FLOW, packets: 13 }, ...others)).toEqual([
      'Refused 13 packets from clients/web (10.0.0.1) to port 80/TCP, and 40 packets of others: isolated by shop/deny-all',
    ]);
  });

  test('is told no more when its pod is gone, though another one has its name', () => {
    const looks = new Looks();
    looks.after(10, FLOW);
    looks.after(10, { ...FLOW, packets: 20 });
    looks.uids.set('shop/db', 'uid-2');
    expect(looks.after(300, { ...FLOW, packets: 20 })).toEqual([]);
  });
});

test('of many ends ten are told in a minute, those who wait the longest first', () => {
  const looks = new Looks();
  const flows = Array.from({ length: 25 }, (_, index) => {
    looks.uids.set(`shop/db-${index}`, `uid-${index}`);
    return { ...FLOW, to: { address: `10.0.1.${index}`, pod: `shop/db-${index}` } };
  });
  const numbers = (denials: readonly PodDenial[]) => denials.map(({ pod }) => Number(pod.name.slice(3)));
  const upTo = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
  expect(numbers(looks.after(10, ...flows.slice(0, 20)))).toEqual(upTo(0, 10));
  expect(numbers(looks.after(50, ...flows))).toEqual([]);
  expect(numbers(looks.after(10, ...flows))).toEqual(upTo(10, 20));
  expect(numbers(looks.after(60, ...flows))).toEqual(upTo(20, 25));
});
