import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  listExpected,
  readExpected,
  removeExpected,
  writeExpected,
  type ExpectedPod,
} from '../../src/rendezvous/expected.ts';
import { beat, endHeartbeat, readHeartbeat, wasInSync } from '../../src/rendezvous/heartbeat.ts';
import { readFileIfAny, readJsonIfAny } from '../../src/files/readIfAny.ts';
import { writeFileWhole } from '../../src/files/writeWhole.ts';
import { makeRuntimeDir } from '../../src/rendezvous/runtimeDir.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'rendezvous-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe('the runtime directory', () => {
  test('is made for root alone, with all that leads there', () => {
    makeRuntimeDir(`${dir}/a/b`);
    expect(['a', 'a/b', 'a/b/attachments', 'a/b/expected'].map((path) => modeOf(`${dir}/${path}`))).toEqual(
      Array(4).fill('700'),
    );
  });

  test('may be there already, in part or whole', () => {
    mkdirSync(`${dir}/hooked`);
    writeFileSync(`${dir}/hooked/x`, 'kept');
    for (let count = 0; count < 2; count += 1) makeRuntimeDir(dir);
    expect(readFileSync(`${dir}/hooked/x`, 'utf8')).toBe('kept');
  });

  test('whose place is taken by a file is an error', () => {
    writeFileSync(`${dir}/run`, '');
    expect(() => makeRuntimeDir(`${dir}/run`)).toThrow('ENOTDIR');
  });
});

describe('a file', () => {
  test('is written whole, for root alone, over what was there', () => {
    const path = `${dir}/file`;
    writeFileSync(path, 'x'.repeat(1000), { mode: 0o644 });
    writeFileWhole(path, 'short');
    expect([readFileIfAny(path), modeOf(path), readdirSync(dir)]).toEqual(['short', '600', ['file']]);
  });

  test('replaces a link and not what it leads to', () => {
    writeFileSync(`${dir}/target`, 'kept');
    symlinkSync('target', `${dir}/file`);
    writeFileWhole(`${dir}/file`, 'new');
    expect([readFileSync(`${dir}/target`, 'utf8'), readFileSync(`${dir}/file`, 'utf8')]).toEqual(['kept', 'new']);
  });

  test('may have the longest name there is', () => {
    writeFileWhole(`${dir}/${'n'.repeat(255)}`, 'x');
    expect(readdirSync(dir)).toEqual(['n'.repeat(255)]);
  });

  test('that cannot be written leaves nothing behind', () => {
    mkdirSync(`${dir}/file`);
    expect(() => writeFileWhole(`${dir}/file`, 'x')).toThrow('EISDIR');
    expect(() => writeFileWhole(`${dir}/nowhere/file`, 'x')).toThrow('ENOENT');
    expect(readdirSync(dir)).toEqual(['file']);
  });

  test('that is not there is nothing; one that cannot be read is an error', () => {
    expect([readFileIfAny(`${dir}/none`), readJsonIfAny(`${dir}/none`)]).toEqual([undefined, undefined]);
    expect(() => readFileIfAny(dir)).toThrow('EISDIR');
  });
});

describe('an expected pod', () => {
  const web: ExpectedPod = {
    namespace: 'shop',
    name: 'web',
    uids: ['u1'],
    judgements: { ingress: { kind: 'quarantine' }, egress: { kind: 'profile', chain: 'NWPLCY-AAAAAAAAAAAAAAAAAAAA' } },
  };

  test('is found by its name until it is expected no more', () => {
    writeExpected(dir, web);
    expect([readExpected(dir, web), listExpected(dir)]).toEqual([web, ['shop/web']]);
    writeExpected(dir, { ...web, uids: [] });
    expect(readExpected(dir, web)?.uids).toEqual([]);
    for (let count = 0; count < 2; count += 1) removeExpected(dir, web);
    expect([readExpected(dir, web), listExpected(dir)]).toEqual([undefined, []]);
  });

  test('leaves nothing of its namespace behind once that has no other', () => {
    const database = { ...web, name: 'db' };
    for (const pod of [web, database]) writeExpected(dir, pod);
    removeExpected(dir, web);
    expect(listExpected(dir)).toEqual(['shop/db']);
    removeExpected(dir, database);
    expect(readdirSync(`${dir}/expected`)).toEqual([]);
  });

  test('is never another namespace’s pod of the same name', () => {
    writeExpected(dir, web);
    expect(readExpected(dir, { namespace: 'lab', name: 'web' })).toBeUndefined();
  });

  test('is written for root alone', () => {
    writeExpected(dir, web);
    expect(['expected', 'expected/shop', 'expected/shop/web'].map((path) => modeOf(`${dir}/${path}`))).toEqual([
      '700',
      '700',
      '600',
    ]);
  });

  test('may have the longest names there are', () => {
    const long = { ...web, namespace: 'n'.repeat(63), name: 'p'.repeat(253) };
    writeExpected(dir, long);
    expect([readExpected(dir, long), listExpected(dir)]).toEqual([long, [`${long.namespace}/${long.name}`]]);
  });

  test.for(['', '{"namespace"', 'null', 'nothing'])('whose file holds "%s" is not known yet', (text) => {
    writeExpected(dir, web);
    writeFileSync(`${dir}/expected/shop/web`, text);
    expect(readExpected(dir, web)).toBeUndefined();
  });

  test('none when there never was an agent', () => {
    expect([readExpected(dir, web), listExpected(dir)]).toEqual([undefined, []]);
  });
});

describe('the agent', () => {
  const heartbeat = { pid: 7, backend: 'iptables-nft' };
  const age = (seconds: number) => utimesSync(`${dir}/agent`, Date.now() / 1000 - seconds, Date.now() / 1000 - seconds);

  test('is there as long as its heartbeat is fresh', () => {
    beat(dir, heartbeat);
    expect([readHeartbeat(dir), modeOf(`${dir}/agent`)]).toEqual([heartbeat, '600']);
    age(3);
    expect(readHeartbeat(dir)).toEqual(heartbeat);
  });

  test('has been in sync from its first heartbeat on, also when it is away again', () => {
    expect(wasInSync(dir)).toBe(false);
    beat(dir, heartbeat);
    endHeartbeat(dir);
    expect([readHeartbeat(dir), wasInSync(dir)]).toEqual([undefined, true]);
  });

  test('is back with the next heartbeat', () => {
    beat(dir, heartbeat);
    age(60);
    beat(dir, heartbeat);
    expect(readHeartbeat(dir)).toEqual(heartbeat);
  });

  test.for([
    { what: 'it never was', change: () => endHeartbeat(dir) },
    { what: 'it said so', change: () => (beat(dir, heartbeat), endHeartbeat(dir)) },
    { what: 'its heartbeat is old', change: () => (beat(dir, heartbeat), age(6)) },
    { what: 'the clock was set back since its last heartbeat', change: () => (beat(dir, heartbeat), age(-3600)) },
    { what: 'its heartbeat cannot be read', change: () => writeFileSync(`${dir}/agent`, '{"pid":') },
    { what: 'its heartbeat is empty', change: () => writeFileSync(`${dir}/agent`, '') },
    { what: 'its heartbeat is null', change: () => writeFileSync(`${dir}/agent`, 'null') },
  ])('is away when $what', ({ change }) => {
    change();
    expect(readHeartbeat(dir)).toBeUndefined();
  });
});

test('a runtime directory where none can be made is an error, and no endless try', () => {
  expect(() => makeRuntimeDir('/proc/no/such')).toThrow('ENOENT');
});
