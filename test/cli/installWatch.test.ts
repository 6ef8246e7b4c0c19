import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { keepInstalled } from '../../src/cli/installWatch.ts';
import { InstalledExecutable } from '../../src/install/executable.ts';
import { stepText, type Outcome } from '../../src/install/step.ts';
import { InstalledNode } from '../install/installedNode.ts';
import { conflistText } from '../install/conflists.ts';

const CONFLIST = conflistText('kindnet.conflist');

/** A watch over a node's directories, and what it has told. */
class Watch implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly #end = new AbortController();
  readonly #ended: Promise<void>;
  #onLine: () => void = () => {};

  constructor(node: InstalledNode) {
    const { confDir, path: root, source, target } = node;
    const executable = new InstalledExecutable(source, target);
    this.#ended = keepInstalled(
      { executable, confDir, keys: {}, force: false, dryRun: false, env: {}, root },
      {
        directories: [confDir, node.file('bin')],
        end: this.#end.signal,
        tell: ({ steps, notes, problems }: Outcome) => {
          const told = [...steps.map((step) => stepText(step, { dryRun: false }).trimEnd()), ...notes, ...problems];
          this.lines.push(...told.map((line) => line.replaceAll(root, '~')));
          this.#onLine();
        },
      },
    );
  }

  /** Resolves when so many lines were told, with all of them. */
  async until(count: number): Promise<readonly string[]> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onLine = () => {
      if (this.lines.length >= count) resolve();
    };
    this.#onLine();
    await promise;
    return this.lines;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#ended;
  }
}

const INSTALLED = [
  '~/bin/kube-nwplcy: copied the executable',
  '~/net.d/10-a.conflist: added kube-nwplcy after portmap',
];

test('what others take out comes back, each told once', async () => {
  using node = new InstalledNode({ '10-a.conflist': CONFLIST });
  await using watch = new Watch(node);
  expect(await watch.until(2)).toEqual(INSTALLED);
  const installed = node.files;
  node.write('10-a.conflist', CONFLIST);
  expect((await watch.until(3)).slice(2)).toEqual(INSTALLED.slice(1));
  rmSync(node.target);
  expect((await watch.until(4)).slice(3)).toEqual(INSTALLED.slice(0, 1));
  expect([node.files, readFileSync(node.target, 'utf8')]).toEqual([installed, 'this is the program']);
});

test('a network that comes later is taken up, also in a directory that was replaced', async () => {
  using node = new InstalledNode();
  rmSync(node.confDir, { recursive: true });
  await using watch = new Watch(node);
  expect((await watch.until(2))[1]).toMatch(/^Cannot find the network in "~\/net\.d": /);
  mkdirSync(node.confDir);
  node.write('10-a.conflist', CONFLIST);
  expect((await watch.until(3)).slice(2)).toEqual(INSTALLED.slice(1));
  renameSync(node.confDir, node.file('old'));
  mkdirSync(node.confDir);
  node.write('10-a.conflist', CONFLIST);
  expect((await watch.until(4)).slice(3)).toEqual(INSTALLED.slice(1));
});

test('a file that somebody is still writing is told only when it stays broken, and once', async () => {
  using node = new InstalledNode({ '10-a.conflist': CONFLIST });
  await using watch = new Watch(node);
  await watch.until(2);
  node.write('10-a.conflist', CONFLIST.slice(0, 50));
  expect((await watch.until(3))[2]).toMatch(/^~\/net\.d\/10-a\.conflist: Cannot read it as JSON: /);
  writeFileSync(`${node.confDir}/README`, 'something happens here');
  node.write('10-a.conflist', CONFLIST);
  expect((await watch.until(4)).slice(3)).toEqual(INSTALLED.slice(1));
});
