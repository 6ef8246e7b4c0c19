import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PassRunner } from '../../src/agent/passRunner.ts';

/** A runner whose passes end when they are told to. */
function runner(options?: ConstructorParameters<typeof PassRunner>[1]) {
  const passes: { readonly end: () => void; readonly fail: (error: Error) => void }[] = [];
  let running = 0;
  let most = 0;
  const passRunner = new PassRunner(async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise<void>((resolve, reject) => passes.push({ end: resolve, fail: reject })).finally(
      () => (running -= 1),
    );
  }, options);
  return { passRunner, passes, most: () => most };
}

/** Lets everything happen that waits for nothing but its turn. */
async function turns(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test('a pass begins as soon as it is asked for', () => {
  const { passRunner, passes } = runner();
  void passRunner.run();
  expect(passes).toHaveLength(1);
});

test('requests during a pass share the next one, and none of them ends with the present one', async () => {
  const { passRunner, passes, most } = runner();
  const ended: string[] = [];
  const request = (name: string) => void passRunner.run().then(() => ended.push(name));
  request('first');
  request('second');
  request('third');
  await turns();
  expect([passes.length, ended]).toEqual([1, []]);
  passes[0]?.end();
  await turns();
  expect([passes.length, ended]).toEqual([2, ['first']]);
  request('fourth');
  passes[1]?.end();
  await turns();
  expect([passes.length, ended]).toEqual([3, ['first', 'second', 'third']]);
  passes[2]?.end();
  await turns();
  expect([passes.length, ended, most()]).toEqual([3, ['first', 'second', 'third', 'fourth'], 1]);
});

test('a burst costs two passes, however long it is', async () => {
  const { passRunner, passes } = runner();
  const all = Promise.all(Array.from({ length: 1000 }, () => passRunner.run()));
  passes[0]?.end();
  await turns();
  passes[1]?.end();
  await all;
  expect(passes).toHaveLength(2);
});

test('a request at the very end of a pass is not lost', async () => {
  const { passRunner, passes } = runner();
  const first = passRunner.run();
  passes[0]?.end();
  await first;
  const second = passRunner.run();
  expect(passes).toHaveLength(2);
  passes[1]?.end();
  await second;
});

describe('idle', () => {
  test('is at once when nothing runs', async () => {
    await expect(new PassRunner(async () => {}).idle()).resolves.toBeUndefined();
  });

  test('comes after the pass that runs and the one that waits', async () => {
    const { passRunner, passes } = runner();
    void passRunner.run();
    void passRunner.run();
    let isIdle = false;
    const idle = passRunner.idle().then(() => (isIdle = true));
    passes[0]?.end();
    await turns();
    expect([passes.length, isIdle]).toEqual([2, false]);
    passes[1]?.end();
    await idle;
  });
});

test('a pass that throws fails those who asked for it, and the next one runs', async () => {
  const { passRunner, passes } = runner();
  const first = passRunner.run();
  const second = passRunner.run();
  passes[0]?.fail(new Error('a bug'));
  await expect(first).rejects.toThrow('a bug');
  await turns();
  expect(passes).toHaveLength(2);
  passes[1]?.end();
  await second;
  const third = passRunner.run();
  passes[2]?.end();
  await third;
  await passRunner.idle();
});

describe('where passes rest', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
  afterEach(() => void vi.useRealTimers());

  test('the first begins at once, and who asks during a rest waits for the pass after it', async () => {
    const { passRunner, passes } = runner({ restMs: 100 });
    const first = passRunner.run();
    passes[0]?.end();
    await first;
    const all = Promise.all([passRunner.run(), passRunner.run(), passRunner.run()]);
    await vi.advanceTimersByTimeAsync(99);
    expect(passes).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(passes).toHaveLength(2);
    passes[1]?.end();
    await all;
    await passRunner.idle();
    expect(passes).toHaveLength(2);
  });
});
