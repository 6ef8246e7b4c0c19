import { pino } from 'pino';
import { describe, expect, test, vi } from 'vitest';
import { Handover } from '../../src/agent/handover.ts';
import type { AttachmentChanges } from '../../src/agent/attachments.ts';
import type { Backend } from '../../src/dataplane/backend.ts';
import type { Removed } from '../../src/dataplane/removed.ts';
import type { RecordedAttachment } from '../../src/rendezvous/attachment.ts';
import type { PodJudgements } from '../../src/rules/pod.ts';
import { hooked, underWay } from '../helpers/attachments.ts';

const OPEN: PodJudgements = { ingress: { kind: 'open' }, egress: { kind: 'open' } };
const OURS = hooked('shop/a', { backend: 'nftables' });
const THEIRS = hooked('shop/b', { backend: 'iptables-nft' });
const THEIRS_UNDER_WAY = underWay('shop/b', { backend: 'iptables-nft' });

function handover(backend: Backend = 'nftables', removed: readonly Removed[] = []) {
  const removeOthers = vi.fn<(records: readonly RecordedAttachment[]) => readonly Removed[]>(() => removed);
  const lines: { readonly level: number; readonly msg: string }[] = [];
  const log = pino({}, { write: (line) => void lines.push(JSON.parse(line) as (typeof lines)[number]) });
  return { handover: new Handover({ backend, removeOthers, log }), removeOthers, lines };
}

function changes(more: Partial<AttachmentChanges>): AttachmentChanges {
  return { appeared: [], hooked: [], gone: new Set(), ...more };
}

const isUnderWay = ({ judgements }: RecordedAttachment) => judgements === undefined;

describe('an attachment is ours', () => {
  test.for<{ readonly of: string | undefined; readonly backend: Backend; readonly is: boolean }>([
    { of: 'nftables', backend: 'nftables', is: true },
    { of: 'iptables-nft', backend: 'nftables', is: false },
    { of: 'iptables-nft', backend: 'iptables-legacy', is: false },
    { of: undefined, backend: 'nftables', is: false },
    { of: undefined, backend: 'iptables-nft', is: true },
    { of: undefined, backend: 'iptables-legacy', is: true },
    { of: 'of the next version', backend: 'nftables', is: false },
  ])('that $of hooks in, with $backend: $is', ({ of, backend, is }) => {
    expect(handover(backend).handover.isOurs({ ...OURS, backend: of })).toBe(is);
  });
});

describe('what others have left', () => {
  test('is taken out once after the start, with what the records tell of it', () => {
    const { handover: one, removeOthers } = handover();
    one.finish([OURS, THEIRS], isUnderWay);
    one.finish([OURS, THEIRS], isUnderWay);
    expect(removeOthers.mock.calls).toEqual([[[OURS, THEIRS]]]);
  });

  test('stays as long as an ADD writes there', () => {
    const { handover: one, removeOthers } = handover();
    one.finish([OURS, THEIRS_UNDER_WAY], isUnderWay);
    expect(removeOthers).not.toHaveBeenCalled();
    one.finish([OURS, THEIRS], isUnderWay);
    expect(removeOthers).toHaveBeenCalledTimes(1);
  });

  test('does not stay for an ADD that writes here', () => {
    const { handover: one, removeOthers } = handover();
    one.finish([underWay('shop/a', { backend: 'nftables' }), THEIRS], isUnderWay);
    expect(removeOthers).toHaveBeenCalledTimes(1);
  });

  test.for<{ readonly what: string; readonly seen: Partial<AttachmentChanges>; readonly times: number }>([
    { what: 'an ADD that began there', seen: { appeared: [THEIRS_UNDER_WAY] }, times: 2 },
    { what: 'an ADD that ended there', seen: { hooked: [{ ...THEIRS, judgements: OPEN }] }, times: 2 },
    { what: 'an ADD that began here', seen: { appeared: [OURS] }, times: 1 },
    { what: 'a DEL', seen: { gone: new Set(['shop.b:eth0']) }, times: 1 },
  ])('is taken out $times times in all after $what', ({ seen, times }) => {
    const { handover: one, removeOthers } = handover();
    one.finish([OURS], isUnderWay);
    one.note(changes(seen));
    one.finish([OURS], isUnderWay);
    expect(removeOthers).toHaveBeenCalledTimes(times);
  });

  test('is told of, and so is what could not be taken out', () => {
    const { handover: one, lines } = handover('nftables', [
      { from: 'iptables-nft ipv4', what: '2 jumps and 3 chains', problem: undefined },
      { from: 'ipset', what: undefined, problem: 'Set cannot be destroyed' },
      { from: 'iptables-legacy ipv4', what: undefined, problem: undefined },
    ]);
    one.finish([], isUnderWay);
    expect(lines).toEqual([
      expect.objectContaining({ level: 30, from: 'iptables-nft ipv4', what: '2 jumps and 3 chains' }),
      expect.objectContaining({ level: 40, problems: [{ from: 'ipset', problem: 'Set cannot be destroyed' }] }),
    ]);
  });

  test('is tried again where it could not be taken out: later, or at once when another ADD was there', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const problem = { from: 'ipset', what: undefined, problem: 'Set cannot be destroyed' };
    const { handover: one, removeOthers } = handover('nftables', [problem]);
    const calls = () => {
      one.finish([], isUnderWay);
      return removeOthers.mock.calls.length;
    };
    expect([calls(), calls()]).toEqual([1, 1]);
    vi.advanceTimersByTime(60_000);
    expect([calls(), calls()]).toEqual([2, 2]);
    one.note(changes({ hooked: [{ ...THEIRS, judgements: OPEN }] }));
    expect([calls(), calls()]).toEqual([3, 3]);
    vi.useRealTimers();
  });
});
