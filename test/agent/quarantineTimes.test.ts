import { expect, test } from 'vitest';
import { QuarantineTimes } from '../../src/agent/quarantineTimes.ts';
import { OPEN, QUARANTINE, type AttachedPod, type PodJudgements } from '../../src/rules/pod.ts';
import { attachment } from '../helpers/attachments.ts';

const at = (second: number) => Date.UTC(2026, 0, 1, 0, 0, second);
const text = (second: number) => new Date(at(second)).toISOString();

function pod(key: string, judgements: PodJudgements | undefined): AttachedPod {
  return { hooks: attachment(key), judgements };
}

test('a quarantine lasts from when it was first seen, and begins anew after it ended', () => {
  const times = new QuarantineTimes();
  times.update([pod('a/b', QUARANTINE), pod('a/c', OPEN)], at(1));
  times.update([pod('a/b', QUARANTINE), pod('a/c', { ...OPEN, egress: QUARANTINE.egress })], at(2));
  expect(times.byPod()).toEqual({ 'a/b': text(1), 'a/c': text(2) });
  times.update([pod('a/b', OPEN)], at(3));
  expect(times.byPod()).toEqual({});
  times.update([pod('a/b', QUARANTINE), pod('a/d', undefined)], at(4));
  expect(times.byPod()).toEqual({ 'a/b': text(4) });
});
