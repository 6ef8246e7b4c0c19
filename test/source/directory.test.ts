import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, test } from 'vitest';
import { podNames, podText, WatchedDirectory } from '../helpers/watchedDirectory.ts';

const BROKEN = 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: A\n';
const BAD_NAME =
  'metadata.name: Cannot use "A": must be at most 253 lower-case letters, digits, "-" and ".", and each part between dots start and end with a letter or digit';

describe('listing', { timeout: 30_000 }, () => {
  test('all manifests below the directory, and nothing hidden', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', podText('a'));
    directory.write('b.yml', podText('b'));
    directory.write('sub/deep/c.json', '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "c"}}');
    directory.write('.hidden.yaml', podText('hidden'));
    directory.write('.hidden/d.yaml', podText('hidden'));
    directory.write('e.txt', podText('text'));
    directory.write('f.yaml~', podText('backup'));
    const source = await directory.start();
    expect(source.state()).toMatchObject({ inSync: true, problems: [] });
    expect(podNames(source.state())).toEqual(['a', 'b', 'c']);
  });

  test('a pod brings its namespace along, unless a manifest has it', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write(
      'pods.yaml',
      `${podText('a')}---\napiVersion: v1\nkind: Pod\nmetadata: {name: b, namespace: shop}\n`,
    );
    directory.write('shop.yaml', 'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: red}}\n');
    const { cluster } = (await directory.start()).state();
    expect([...cluster.namespaces.values()].map(({ name, labels }) => ({ name, labels }))).toEqual([
      { name: 'default', labels: new Map([['kubernetes.io/metadata.name', 'default']]) },
      {
        name: 'shop',
        labels: new Map([
          ['team', 'red'],
          ['kubernetes.io/metadata.name', 'shop'],
        ]),
      },
    ]);
  });

  test('what two names lead to is read once', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', podText('a'));
    linkSync(join(directory.path, 'a.yaml'), join(directory.path, 'b.yaml'));
    symlinkSync('a.yaml', join(directory.path, 'c.yaml'));
    symlinkSync('.', join(directory.path, 'loop'));
    const source = await directory.start();
    expect(podNames(source.state())).toEqual(['a']);
    expect(source.state().problems).toEqual([]);
  });

  test('what is no readable file is told, and holds up nothing', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    const at = (file: string) => join(directory.path, file);
    directory.write('good.yaml', podText('a'));
    execFileSync('mkfifo', [at('fifo.yaml')]);
    writeFileSync(at('latin.yaml'), Buffer.from([0x61, 0xe4]));
    directory.write('large.yaml', '');
    truncateSync(at('large.yaml'), 64 * 1024 * 1024 + 1);
    symlinkSync('nowhere', at('link.yaml'));
    const source = await directory.start();
    expect(podNames(source.state())).toEqual(['a']);
    expect(source.state().problems).toEqual([
      { where: at('fifo.yaml'), line: undefined, message: 'Cannot read: not a regular file' },
      {
        where: at('link.yaml'),
        line: undefined,
        message: `Cannot read: ENOENT: no such file or directory, stat '${at('link.yaml')}'`,
      },
      {
        where: at('large.yaml'),
        line: undefined,
        message: 'Cannot read: has 67108865 bytes, and 67108864 is the limit',
      },
      { where: at('latin.yaml'), line: undefined, message: 'Cannot read: not UTF-8 text' },
    ]);
  });

  test('a name that moves the cursor is told escaped', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a\n\u001B[2J.yaml', BROKEN);
    const { problems } = (await directory.start()).state();
    expect(problems).toEqual([
      { where: join(directory.path, String.raw`a\u{a}\u{1b}[2J.yaml`), line: 4, message: BAD_NAME },
    ]);
  });

  test('a thousand files', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    for (let index = 0; index < 1000; index += 1) directory.write(`${index}.yaml`, podText(`p${index}`));
    const source = await directory.start();
    expect(source.state().cluster.pods.size).toBe(1000);
  });
});

describe('a change is seen', { timeout: 30_000 }, () => {
  test('in a new file, an old one, a new folder, and when a file goes', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    await directory.start();
    directory.write('a.yaml', podText('a'));
    await directory.until((state) => podNames(state).join() === 'a');
    directory.write('a.yaml', podText('a', 'b'));
    await directory.until((state) => podNames(state).join() === 'a,b');
    directory.write('sub/c.yaml', podText('c'));
    await directory.until((state) => podNames(state).join() === 'a,b,c');
    directory.write('sub/c.yaml', podText('d'));
    await directory.until((state) => podNames(state).join() === 'a,b,d');
    rmSync(join(directory.path, 'a.yaml'));
    const last = await directory.until((state) => podNames(state).join() === 'd');
    expect(last.problems).toEqual([]);
  });

  test('by refresh at once', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    const source = await directory.start();
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      directory.write('a.yaml', podText(name));
      await source.refresh();
      expect(podNames(source.state())).toEqual([name]);
    }
    directory.write('a.yaml', '');
    await source.refresh();
    expect(podNames(source.state())).toEqual([]);
  });

  test('when a mounted ConfigMap is swapped as a whole', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('..v1/a.yaml', podText('a'));
    directory.write('..v2/a.yaml', podText('b'));
    symlinkSync('..v1', join(directory.path, '..data'));
    symlinkSync('..data/a.yaml', join(directory.path, 'a.yaml'));
    const source = await directory.start();
    expect(podNames(source.state())).toEqual(['a']);
    symlinkSync('..v2', join(directory.path, '..data_tmp'));
    renameSync(join(directory.path, '..data_tmp'), join(directory.path, '..data'));
    const swapped = await directory.until((state) => podNames(state).join() === 'b');
    expect(swapped.problems).toEqual([]);
  });

  test('and nothing is said when there is none', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', podText('a'));
    directory.write('bad.yaml', BROKEN);
    const source = await directory.start();
    const { cluster } = source.state();
    appendFileSync(join(directory.path, 'a.yaml'), '# a comment\n');
    directory.write('b.yaml', '# no documents\n');
    await source.refresh();
    await source.refresh();
    expect(directory.states).toHaveLength(1);
    expect(source.state().cluster).toBe(cluster);
  });

  test('and objects that stay the same keep their identity', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', podText('a', 'b'));
    const source = await directory.start();
    const { cluster: before } = source.state();
    directory.write('a.yaml', podText('c', 'a'));
    await source.refresh();
    const { cluster: after } = source.state();
    expect(podNames(source.state())).toEqual(['c', 'a']);
    expect(after.pods.get('default/a')).toBe(before.pods.get('default/a'));
    expect(after.policies).toBe(before.policies);
    expect(after.namespaces).toBe(before.namespaces);
  });

  test('and what they changed is named once', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', podText('a', 'b'));
    const source = await directory.start();
    const nothing = { namespaces: new Set(), pods: new Set(), policies: new Set() };
    expect(source.takeChanges()).toEqual({
      ...nothing,
      namespaces: new Set(['default']),
      pods: new Set(['default/a', 'default/b']),
    });
    directory.write('a.yaml', podText('c', 'a'));
    await source.refresh();
    expect(source.takeChanges()).toEqual({ ...nothing, pods: new Set(['default/b', 'default/c']) });
    expect(source.takeChanges()).toEqual(nothing);
  });

  test('but not after the source was stopped', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    const source = await directory.start();
    await source.stop();
    directory.write('a.yaml', podText('a'));
    await source.refresh();
    expect(podNames(source.state())).toEqual([]);
  });
});

describe('a bad file keeps its last good content', { timeout: 30_000 }, () => {
  test('all of it, and says file, line and field', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', podText('a', 'b'));
    const source = await directory.start();
    directory.write('a.yaml', `${podText('c')}---\n${BROKEN}`);
    await source.refresh();
    expect(podNames(source.state())).toEqual(['a', 'b']);
    expect(source.state().problems).toEqual([{ where: join(directory.path, 'a.yaml'), line: 8, message: BAD_NAME }]);
    directory.write('a.yaml', podText('c'));
    await source.refresh();
    expect(podNames(source.state())).toEqual(['c']);
    expect(source.state().problems).toEqual([]);
  });

  test('across a restart', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', podText('a'));
    await directory.start();
    directory.write('a.yaml', BROKEN);
    const source = await directory.start();
    expect(podNames(source.state())).toEqual(['a']);
    expect(source.state().problems).toEqual([{ where: join(directory.path, 'a.yaml'), line: 4, message: BAD_NAME }]);
  });

  test('but not across a restart without a place to keep it', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', podText('a'));
    await directory.start();
    directory.write('a.yaml', BROKEN);
    const withoutCopies = await directory.start(join(directory.stateDir, 'other'));
    expect(podNames(withoutCopies.state())).toEqual([]);
  });

  test('for root alone to read, as long as the file is there', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', podText('a'));
    directory.write('b.yaml', podText('b'));
    await directory.start();
    const copies = () => readdirSync(directory.stateDir);
    expect(statSync(directory.stateDir).mode & 0o777).toBe(0o700);
    expect(copies().map((name) => statSync(join(directory.stateDir, name)).mode & 0o777)).toEqual([0o600, 0o600]);
    writeFileSync(join(directory.stateDir, `.${copies()[0]}.half`), 'left by a crash');
    rmSync(join(directory.path, 'a.yaml'));
    const source = await directory.start();
    expect(copies()).toHaveLength(1);
    rmSync(join(directory.path, 'b.yaml'));
    await source.refresh();
    expect(copies()).toEqual([]);
    directory.write('b.yaml', BROKEN);
    expect(podNames((await directory.start()).state())).toEqual([]);
  });

  test('also when it becomes a link to nowhere', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', podText('a'));
    const source = await directory.start();
    rmSync(join(directory.path, 'a.yaml'));
    symlinkSync('nowhere', join(directory.path, 'a.yaml'));
    await source.refresh();
    expect(podNames(source.state())).toEqual(['a']);
    expect(source.state().problems).toHaveLength(1);
    const restarted = await directory.start();
    expect(podNames(restarted.state())).toEqual(['a']);
  });

  test('and is used when no copy of it can be kept', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', podText('a'));
    writeFileSync(directory.stateDir, 'no folder');
    const source = await directory.start();
    expect(podNames(source.state())).toEqual(['a']);
    expect(source.state().problems.map(({ message }) => message.split(': ').slice(0, 2).join(': '))).toEqual([
      'Cannot keep a copy for the next start: ENOTDIR',
    ]);
    rmSync(directory.stateDir);
    await source.refresh();
    expect(source.state().problems).toEqual([]);
  });

  test('while it is emptied to be written anew', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', podText('a'));
    await directory.start();
    truncateSync(join(directory.path, 'a.yaml'), 0);
    await setTimeout(100);
    directory.write('a.yaml', podText('b'));
    await directory.until((state) => podNames(state).join() === 'b');
    expect(directory.states.map(podNames)).toEqual([['a'], ['b']]);
  });

  test('but an emptied one that stays empty holds nothing', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', podText('a'));
    await directory.start();
    truncateSync(join(directory.path, 'a.yaml'), 0);
    const emptied = await directory.until((state) => podNames(state).length === 0);
    expect(emptied.problems).toEqual([]);
  });

  test('twenty problems of a file are enough', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', Array.from({ length: 30 }, () => BROKEN).join('---\n'));
    const { problems } = (await directory.start()).state();
    expect(problems).toHaveLength(21);
    expect(problems.at(-1)?.message).toBe('Has 10 more problems');
  });
});

describe('the same object twice', { timeout: 30_000 }, () => {
  test('counts from the first file, and the second is told', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('b/second.yaml', `# again\n---\n${podText('a')}`);
    directory.write('a-first.yaml', 'apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {from: first}}\n');
    const source = await directory.start();
    const at = (file: string) => join(directory.path, file);
    expect(source.state().cluster.pods.get('default/a')?.labels).toEqual(new Map([['from', 'first']]));
    expect(source.state().problems).toEqual([
      {
        where: at('b/second.yaml'),
        line: 3,
        message: `Cannot use Pod "default/a" of "${at('b/second.yaml')}": it is already in "${at('a-first.yaml')}"`,
      },
    ]);
    rmSync(at('a-first.yaml'));
    await source.refresh();
    expect(source.state().cluster.pods.get('default/a')?.labels).toEqual(new Map());
    expect(source.state().problems).toEqual([]);
  });
});

describe('the directory itself', { timeout: 30_000 }, () => {
  test('is not in sync before it was there', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    rmSync(directory.path, { recursive: true });
    const source = await directory.start();
    expect(source.state()).toMatchObject({
      inSync: false,
      problems: [{ where: directory.path, message: expect.stringMatching(/^Cannot list: ENOENT/) as string }],
    });
    directory.write('a.yaml', podText('a'));
    const found = await directory.until((state) => state.inSync);
    expect(podNames(found)).toEqual(['a']);
    expect(found.problems).toEqual([]);
  });

  test('leaves its content behind when it goes', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', podText('a'));
    const source = await directory.start();
    const { cluster } = source.state();
    rmSync(directory.path, { recursive: true });
    await directory.until((state) => state.problems.length > 0);
    await source.refresh();
    expect(source.state()).toMatchObject({ inSync: true, problems: [{ where: directory.path }] });
    expect(source.state().cluster).toBe(cluster);
  });

  test('is believed again, whatever it holds then, by refresh at once', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', podText('a'));
    const source = await directory.start();
    rmSync(directory.path, { recursive: true });
    await source.refresh();
    mkdirSync(directory.path);
    await source.refresh();
    expect(podNames(source.state())).toEqual([]);
    expect(source.state().problems).toEqual([]);
  });

  test('is given time to be filled when another one takes its place', async ({ expect }) => {
    await using directory = new WatchedDirectory();
    directory.write('a.yaml', podText('a'));
    directory.write('b.yaml', podText('b'));
    await directory.start();
    renameSync(directory.path, `${directory.path}.old`);
    mkdirSync(directory.path);
    await setTimeout(100);
    directory.write('b.yaml', podText('b'));
    await setTimeout(100);
    directory.write('a.yaml', podText('c'));
    await directory.until((state) => podNames(state).join() === 'c,b');
    expect(directory.states.map(podNames)).toEqual([
      ['a', 'b'],
      ['c', 'b'],
    ]);
  });
});
