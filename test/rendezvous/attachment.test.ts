import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  acknowledge,
  isAcknowledged,
  readAttachment,
  readAttachments,
  removeAttachment,
  writeAttachment,
  writeJudgements,
} from '../../src/rendezvous/attachment.ts';
import { makeRuntimeDir } from '../../src/rendezvous/runtimeDir.ts';
import type { PodJudgements } from '../../src/rules/pod.ts';
import { attachment } from '../helpers/attachments.ts';

const WEB = attachment('shop/web', { uid: 'u1', addresses: ['10.0.0.1', 'fd00::1'] });
const JUDGEMENTS: PodJudgements = {
  ingress: { kind: 'profile', chain: 'NWPLCY-AAAAAAAAAAAAAAAAAAAA' },
  egress: { kind: 'open' },
};

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'rendezvous-'));
  makeRuntimeDir(dir);
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Every file below the runtime directory. */
function files(): readonly string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(dir.length + 1))
    .sort();
}

describe('ADD and DEL of an attachment', () => {
  test('ADD makes it known before its pod is hooked in, and tells the judgements after', () => {
    writeAttachment(dir, WEB);
    expect(readAttachments(dir)).toEqual([{ ...WEB, judgements: undefined }]);
    writeJudgements(dir, { id: WEB, judgements: JUDGEMENTS });
    expect(readAttachments(dir)).toEqual([{ ...WEB, judgements: JUDGEMENTS }]);
    expect(readAttachment(dir, { containerId: WEB.containerId, ifName: 'eth0' })).toEqual({
      ...WEB,
      judgements: JUDGEMENTS,
    });
  });

  test('what nobody could tell is read as it was written', () => {
    const unknown = { ...WEB, uid: undefined, hostInterface: undefined };
    writeAttachment(dir, unknown);
    expect(readAttachment(dir, WEB)).toEqual({ ...unknown, judgements: undefined });
  });

  test('a record of a version that knew iptables only has no backend', () => {
    writeAttachment(dir, { ...WEB, backend: undefined });
    expect(readAttachment(dir, WEB)?.backend).toBeUndefined();
    expect(readAttachments(dir)).toEqual([{ ...WEB, backend: undefined, judgements: undefined }]);
  });

  test('an ADD that comes again begins anew', () => {
    writeAttachment(dir, WEB);
    writeJudgements(dir, { id: WEB, judgements: JUDGEMENTS });
    acknowledge(dir, WEB);
    writeAttachment(dir, { ...WEB, addresses: ['10.0.0.9'] });
    expect([readAttachments(dir), isAcknowledged(dir, WEB)]).toEqual([
      [{ ...WEB, addresses: ['10.0.0.9'], judgements: undefined }],
      false,
    ]);
  });

  test('an ADD that a DEL has overtaken sees so, brings nothing back and can leave nothing', () => {
    writeAttachment(dir, WEB);
    removeAttachment(dir, WEB);
    writeJudgements(dir, { id: WEB, judgements: JUDGEMENTS });
    expect([readAttachment(dir, WEB), readAttachments(dir)]).toEqual([undefined, []]);
    removeAttachment(dir, WEB);
    expect(files()).toEqual([]);
  });

  test('DEL leaves no file, and may come twice or without an ADD', () => {
    writeAttachment(dir, WEB);
    writeJudgements(dir, { id: WEB, judgements: JUDGEMENTS });
    acknowledge(dir, WEB);
    expect(files()).toHaveLength(3);
    for (let count = 0; count < 2; count += 1) removeAttachment(dir, WEB);
    expect(files()).toEqual([]);
  });

  test('interfaces of one container are attachments of their own', () => {
    const second = { ...WEB, ifName: 'net1', addresses: ['10.1.0.1'] };
    for (const each of [WEB, second]) writeAttachment(dir, each);
    acknowledge(dir, second);
    removeAttachment(dir, WEB);
    expect([readAttachments(dir), isAcknowledged(dir, WEB), isAcknowledged(dir, second)]).toEqual([
      [{ ...second, judgements: undefined }],
      false,
      true,
    ]);
  });
});

test('nothing was ever attached: there is no directory', () => {
  rmSync(`${dir}/attachments`, { recursive: true });
  expect([readAttachments(dir), readAttachment(dir, WEB), isAcknowledged(dir, WEB)]).toEqual([[], undefined, false]);
  removeAttachment(dir, WEB);
});

test('files and directories are root’s alone', () => {
  writeAttachment(dir, WEB);
  writeJudgements(dir, { id: WEB, judgements: JUDGEMENTS });
  acknowledge(dir, WEB);
  const modeOf = (path: string) => (statSync(`${dir}/${path}`).mode & 0o777).toString(8);
  expect(files().map(modeOf)).toEqual(['600', '600', '600']);
  expect(readdirSync(dir).map((name) => [name, modeOf(name)])).toEqual(
    ['acknowledged', 'attachments', 'expected', 'hooked'].map((name) => [name, '700']),
  );
});

describe('a record that is none tells nothing, and hides no other', () => {
  const texts: Readonly<Record<string, string>> = {
    'cut off': JSON.stringify(WEB).slice(0, 60),
    empty: '',
    'no JSON': 'null and void',
    null: 'null',
    'a list': '[]',
    'a number': '7',
    'an empty object': '{}',
    'without addresses': JSON.stringify({ ...WEB, addresses: undefined }),
    'with addresses that are no text': JSON.stringify({ ...WEB, addresses: [1, null] }),
    'without a namespace': JSON.stringify({ ...WEB, namespace: undefined }),
    'with a uid that is no text': JSON.stringify({ ...WEB, uid: 7 }),
    'with a backend that is no text': JSON.stringify({ ...WEB, backend: 7 }),
    'without a mark mask': JSON.stringify({ ...WEB, markMask: undefined }),
    'of another attachment': JSON.stringify({ ...WEB, containerId: 'other' }),
  };
  test.for(Object.entries(texts))('%s', ([, text]) => {
    const other = attachment('shop/db');
    writeAttachment(dir, other);
    writeFileSync(`${dir}/attachments/${WEB.containerId}:eth0`, text);
    expect([readAttachment(dir, WEB), readAttachments(dir)]).toEqual([
      undefined,
      [{ ...other, judgements: undefined }],
    ]);
  });

  test.for(['', '{', 'null', '7', '{"ingress":{"kind":"open"}}'])(
    'judgements "%s": the pod is not hooked in yet',
    (text) => {
      writeAttachment(dir, WEB);
      writeFileSync(`${dir}/hooked/${WEB.containerId}:eth0`, text);
      expect(readAttachment(dir, WEB)).toEqual({ ...WEB, judgements: undefined });
    },
  );

  test.for(['.4711shop.web:eth0', 'README', 'shop.web', ':', 'a:b:c'])('a file "%s"', (name) => {
    writeAttachment(dir, WEB);
    writeFileSync(`${dir}/attachments/${name}`, JSON.stringify({ ...WEB, containerId: 'other' }));
    expect(readAttachments(dir)).toEqual([{ ...WEB, judgements: undefined }]);
  });
});

test('JSON cannot reach a prototype', () => {
  writeFileSync(`${dir}/attachments/x:eth0`, `{"__proto__":${JSON.stringify({ ...WEB, containerId: 'x' })}}`);
  expect(readAttachments(dir)).toEqual([]);
});
