import { beforeEach, describe, expect, test } from 'vitest';
import { Attachments } from '../../src/agent/attachments.ts';
import type { RecordedAttachment } from '../../src/rendezvous/attachment.ts';
import { idOf } from '../../src/rules/pod.ts';
import { hooked, underWay } from '../helpers/attachments.ts';

let attachments: Attachments;
let now: number;

beforeEach(() => {
  attachments = new Attachments();
  now = 1000;
});

/** Takes a look a second later and tells the changes by the pods' names. */
function look(...records: readonly RecordedAttachment[]) {
  now += 1000;
  const { appeared, hooked: added, gone } = attachments.update(records, now);
  return { appeared: appeared.map(({ name }) => name), hooked: added.map(({ name }) => name), gone };
}

const NONE = new Set<string>();
const SHOWN = new Map([['shop/web', {}]]);
const idsOf = (...keys: readonly string[]) => new Set(keys.map((key) => idOf(hooked(key))));
const quarantine = { judgements: { ingress: { kind: 'quarantine' }, egress: { kind: 'quarantine' } } } as const;

describe('what changed since the last look', () => {
  test('a pod appears, is hooked in and goes', () => {
    expect(look(underWay('shop/web'))).toEqual({ appeared: ['web'], hooked: [], gone: NONE });
    expect(look(underWay('shop/web'))).toEqual({ appeared: [], hooked: [], gone: NONE });
    expect(look(hooked('shop/web'))).toEqual({ appeared: [], hooked: ['web'], gone: NONE });
    expect(look(hooked('shop/web'))).toEqual({ appeared: [], hooked: [], gone: NONE });
    expect(look()).toEqual({ appeared: [], hooked: [], gone: idsOf('shop/web') });
    expect(look()).toEqual({ appeared: [], hooked: [], gone: NONE });
  });

  test('ADD was done between two looks', () => {
    expect(look(hooked('shop/web'))).toEqual({ appeared: ['web'], hooked: ['web'], gone: NONE });
  });

  test('ADD and DEL were done between two looks: nobody saw them', () => {
    look(hooked('shop/db'));
    expect(look(hooked('shop/db'))).toEqual({ appeared: [], hooked: [], gone: NONE });
  });

  test.for([
    { what: 'other addresses', tweak: { addresses: ['10.0.0.9'] } },
    { what: 'another interface on the node', tweak: { hostInterface: 'veth9' } },
    { what: 'an interface that is no port of a bridge', tweak: { bridged: false } },
    { what: 'another identity', tweak: { uid: 'u2' } },
  ])('an ADD that came again brings $what: it is seen under way and hooked in, or hooked in at once', ({ tweak }) => {
    look(hooked('shop/web'));
    expect(look(underWay('shop/web', tweak))).toMatchObject({ appeared: ['web'], hooked: [] });
    expect(look(hooked('shop/web', tweak))).toMatchObject({ appeared: [], hooked: ['web'] });
    expect(look(hooked('shop/web'))).toEqual({ appeared: ['web'], hooked: ['web'], gone: NONE });
  });

  test('an ADD that came again with nothing new is under way again', () => {
    look(hooked('shop/web'));
    expect(look(underWay('shop/web'))).toMatchObject({ appeared: ['web'], hooked: [] });
    expect(look(hooked('shop/web'))).toMatchObject({ appeared: [], hooked: ['web'] });
  });

  test('an ADD that came again between two looks and judged otherwise has hooked the pod in anew', () => {
    look(hooked('shop/web'));
    expect(look(hooked('shop/web', quarantine))).toEqual({ appeared: [], hooked: ['web'], gone: NONE });
  });

  test('another container of the same pod: one is gone, one appears', () => {
    look(hooked('shop/web'));
    const next = hooked('shop/web', { containerId: 'next' });
    expect(look(next)).toEqual({ appeared: ['web'], hooked: ['web'], gone: idsOf('shop/web') });
  });
});

test('all records of the last look, and no older ones', () => {
  look(hooked('shop/web'), underWay('shop/db'));
  expect(attachments.all()).toEqual([hooked('shop/web'), underWay('shop/db')]);
  look(hooked('shop/db'));
  expect(attachments.all()).toEqual([hooked('shop/db')]);
});

describe('an ADD is under way', () => {
  const isUnderWay = (record: RecordedAttachment) => attachments.isUnderWay(record, now);

  test('until it has hooked its pod in', () => {
    look(underWay('shop/web'));
    expect(isUnderWay(underWay('shop/web'))).toBe(true);
    look(hooked('shop/web'));
    expect(isUnderWay(hooked('shop/web'))).toBe(false);
  });

  test('for ninety seconds: then it was killed', () => {
    look(underWay('shop/web'));
    now += 89_999;
    expect(isUnderWay(underWay('shop/web'))).toBe(true);
    now += 1;
    expect(isUnderWay(underWay('shop/web'))).toBe(false);
    look(underWay('shop/web'));
    expect(isUnderWay(underWay('shop/web'))).toBe(false);
  });

  test('as long again when it comes again', () => {
    look(underWay('shop/web'));
    now += 100_000;
    look(underWay('shop/web', { addresses: ['10.0.0.9'] }));
    expect(isUnderWay(underWay('shop/web', { addresses: ['10.0.0.9'] }))).toBe(true);
  });
});

describe('what is a gone pod’s in the kernel is left to its DEL', () => {
  test('for ten seconds', () => {
    look(hooked('shop/web'), hooked('shop/db'));
    look(hooked('shop/db'));
    expect(attachments.leaving()).toEqual(idsOf('shop/web'));
    now += 8000;
    look(hooked('shop/db'));
    expect(attachments.leaving()).toEqual(idsOf('shop/web'));
    look(hooked('shop/db'));
    expect(attachments.leaving()).toEqual(NONE);
  });

  test('unless the same attachment is added again', () => {
    look(hooked('shop/web'));
    look();
    look(underWay('shop/web'));
    expect(attachments.leaving()).toEqual(NONE);
  });
});

describe('a pod is detached', () => {
  test('when its attachment is gone, until it has another', () => {
    look(hooked('shop/web'));
    expect(attachments.detachedOf(SHOWN)).toEqual(NONE);
    look();
    expect(attachments.detachedOf(SHOWN)).toEqual(new Set(['shop/web']));
    look(underWay('shop/web', { containerId: 'next' }));
    expect(attachments.detachedOf(SHOWN)).toEqual(NONE);
  });

  test('until the source shows it no more', () => {
    look(hooked('shop/web'));
    look();
    expect(attachments.detachedOf(new Map())).toEqual(NONE);
    expect(attachments.detachedOf(SHOWN)).toEqual(NONE);
  });

  test('not while another interface of it is attached', () => {
    look(hooked('shop/web'), hooked('shop/web', { ifName: 'net1' }));
    look(hooked('shop/web', { ifName: 'net1' }));
    expect(attachments.detachedOf(SHOWN)).toEqual(NONE);
  });
});

describe('what is unlike the last look', () => {
  test.for<{
    readonly what: string;
    readonly records: readonly RecordedAttachment[];
    readonly unlike: readonly string[];
  }>([
    { what: 'nothing', records: [hooked('shop/web'), underWay('shop/db')], unlike: [] },
    {
      what: 'an attachment that came',
      records: [hooked('shop/web'), underWay('shop/db'), underWay('shop/cli')],
      unlike: ['shop/cli'],
    },
    { what: 'an attachment that went', records: [underWay('shop/db')], unlike: ['shop/web'] },
    { what: 'an ADD that came again', records: [underWay('shop/web'), underWay('shop/db')], unlike: ['shop/web'] },
    {
      what: 'other addresses',
      records: [hooked('shop/web', { addresses: [] }), underWay('shop/db')],
      unlike: ['shop/web'],
    },
  ])('$what', ({ records, unlike }) => {
    look(hooked('shop/web'), underWay('shop/db'));
    expect(new Set(attachments.unlike(records).keys())).toEqual(idsOf(...unlike));
  });
});
