import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { NftKernel } from '../../../src/dataplane/nftables/nftKernel.ts';
import { FakeNft } from '../../helpers/fakeNft.ts';
import { settledBlocks } from '../../helpers/nftNode.ts';
import { hooksOf } from '../../rules/nftables/nodeStates.ts';
import { addText, DB, heldByAnother, QUICK, THOROUGH, toDb, wanted, WEB, WORLD } from './world.ts';

describe('while changes are heard of', () => {
  const onChange = vi.fn<() => void>();
  let fake: FakeNft;
  let kernel: NftKernel;
  let stop: () => void;

  beforeEach(async () => {
    onChange.mockClear();
    fake = await FakeNft.start();
    kernel = new NftKernel();
    stop = kernel.listen(onChange);
    await fake.monitored(1);
    await kernel.read(THOROUGH);
    await kernel.apply(wanted(WORLD));
    fake.runs.length = 0;
  });
  afterEach(() => {
    stop();
    fake.stop();
  });

  /** Resolves when everything that was said has been heard: what is said last is strange. */
  async function heard(): Promise<void> {
    const calls = onChange.mock.calls.length;
    fake.commit('add chain inet kube-nwplcy mine');
    await vi.waitFor(() => expect(onChange.mock.calls.length).toBeGreaterThan(calls));
  }

  test('a look that is not thorough reads only after a foreign change', async () => {
    await kernel.read(QUICK);
    expect(fake.runs).toEqual([]);
    fake.commit('flush chain inet kube-nwplcy refuse');
    await vi.waitFor(() => expect(onChange).toHaveBeenCalledTimes(1));
    await kernel.read(QUICK);
    expect(fake.runs.toSorted()).toEqual(['list bridge', 'list inet']);
    expect(await kernel.apply(wanted(WORLD))).toEqual({ changed: true, mended: true, closed: true });
    expect(settledBlocks(fake.ruleset)).toEqual(await heldByAnother(wanted(WORLD)));
  });

  test('neither an own change nor an ADD is foreign, however late they are told of', async () => {
    const release = fake.holdEvents();
    await kernel.apply(wanted([...WORLD, toDb('cli')]));
    fake.commit(addText(hooksOf('shop/late', { addresses: ['10.0.0.9', 'fd00::9'], port: 'bridged' })));
    await kernel.apply(wanted(WORLD));
    release();
    await heard();
    expect(onChange).toHaveBeenCalledTimes(1);
  });

  test('an own change that looks like an ADD is waited for by nobody', async () => {
    const late = hooksOf('shop/late', { addresses: ['10.0.0.9'], port: 'routed' });
    await kernel.apply(wanted(WORLD, { attached: [WEB, DB, late] }));
    await heard();
    expect(onChange).toHaveBeenCalledTimes(1);
  });

  test('a change that is refused is not waited for', async () => {
    fake.beforeNext('commit', () => ({ exitCode: 1, stderr: 'Error: no memory\n' }));
    await expect(kernel.apply(wanted([...WORLD, toDb('cli')]))).rejects.toThrow('no memory');
    await heard();
    expect(onChange).toHaveBeenCalledTimes(1);
  });

  test('a look that fails is taken again', async () => {
    await heard();
    fake.beforeNext('list inet', () => ({ exitCode: 1, stderr: 'Error: no memory\n' }));
    await expect(kernel.read(QUICK)).rejects.toThrow('no memory');
    fake.runs.length = 0;
    await kernel.read(QUICK);
    // The other table's run of before may end late.
    expect(new Set(fake.runs)).toEqual(new Set(['list bridge', 'list inet']));
  });
});
