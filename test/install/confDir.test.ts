import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import { confNames, readConfFile, writeConfFile } from '../../src/install/confDir.ts';
import { TemporaryDirectory } from '../helpers/temporaryDirectory.ts';

test('the files that runtimes look at, in their order: by bytes, dotfiles too, no directories, no other extensions', () => {
  using directory = new TemporaryDirectory();
  const names = ['10-b.conflist', '10-b.conf', '10-b.json', '10-B.conf', '9-a.conf', '.z.conf', 'é.conf', 'z.conf'];
  for (const name of [
    ...names,
    'README',
    'a.conf.bak',
    'a.conf.kube-nwplcy-saved',
    'a.conf.kube-nwplcy-aside-7',
    'a.CONF',
  ])
    writeFileSync(directory.file(name), '');
  mkdirSync(directory.file('0.conf'));
  symlinkSync('nowhere', directory.file('1.conf'));
  expect(confNames(directory.path)).toEqual([
    '.z.conf',
    '1.conf',
    '10-B.conf',
    '10-b.conf',
    '10-b.conflist',
    '10-b.json',
    '9-a.conf',
    'z.conf',
    'é.conf',
  ]);
});

test('no directory holds no files', () => {
  using directory = new TemporaryDirectory();
  expect(confNames(directory.file('none'))).toEqual([]);
});

test('a name that is not UTF-8 is refused, and not taken for another', () => {
  using directory = new TemporaryDirectory();
  writeFileSync(Buffer.concat([Buffer.from(`${directory.path}/`), Buffer.from([0xff]), Buffer.from('.conf')]), '');
  expect(() => confNames(directory.path)).toThrow('Cannot use a file name that is not UTF-8');
});

test.for([
  {
    title: 'a FIFO',
    make: (path: string) => execFileSync('mkfifo', [path]),
    says: 'Cannot read it: it is no plain file',
  },
  {
    title: 'a device',
    make: (path: string) => execFileSync('mknod', [path, 'c', '1', '5']),
    says: 'Cannot read it: it is no plain file',
  },
  {
    title: 'a symbolic link',
    make: (path: string) => symlinkSync('/etc/passwd', path),
    says: 'Cannot edit it: it is a symbolic link; put a file in its place',
  },
  {
    title: 'a huge file',
    make: (path: string) => writeFileSync(path, Buffer.alloc(2 * 1024 * 1024 + 1)),
    says: 'Cannot read it: it is larger than 2097152 bytes',
  },
  {
    title: 'invalid UTF-8',
    make: (path: string) => writeFileSync(path, Buffer.from([0x7b, 0xff, 0x7d])),
    says: 'Cannot read it: it is not UTF-8',
  },
])('$title is refused at once', ({ make, says }) => {
  using directory = new TemporaryDirectory();
  const path = directory.file('10-a.conf');
  make(path);
  expect(() => readConfFile(path)).toThrow(says);
});

test('a file is replaced by a rename, with its owner and mode, and nothing stays beside it', () => {
  using directory = new TemporaryDirectory();
  const path = directory.file('10-a.conflist');
  writeFileSync(path, 'before');
  chmodSync(path, 0o640);
  linkSync(path, directory.file('other-link'));
  writeConfFile(path, { text: 'after', owner: { uid: 12, gid: 34, mode: 0o104640 } });
  const { uid, gid, mode } = statSync(path);
  expect([uid, gid, mode & 0o7777, readFileSync(path, 'utf8')]).toEqual([12, 34, 0o640, 'after']);
  expect(readFileSync(directory.file('other-link'), 'utf8')).toBe('before');
  expect(readdirSync(directory.path).toSorted()).toEqual(['10-a.conflist', 'other-link']);
});
