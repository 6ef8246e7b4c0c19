import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NftKernel } from '../../../src/dataplane/nftables/nftKernel.ts';
import type { Wanted } from '../../../src/dataplane/kernel.ts';
import { nftPodChainNames } from '../../../src/rules/nftables/names.ts';
import { deletePodCommands } from '../../../src/rules/nftables/podCommands.ts';
import { idOf, QUARANTINE, type PodHooks } from '../../../src/rules/pod.ts';
import { FakeNft } from '../../helpers/fakeNft.ts';
import { settledBlocks } from '../../helpers/nftNode.ts';
import { addText, claimed, cli, DB, heldByAnother, THOROUGH, toDb, wanted, WEB, WORLD } from './world.ts';
import { pod, policy } from '../../helpers/manifests.ts';

let fake: FakeNft;
let kernel: NftKernel;

beforeEach(async () => {
  fake = await FakeNft.start();
  kernel = new NftKernel();
});
afterEach(() => fake.stop());

/** What an ADD and a DEL do, each by its own nft. */
function add(hooks: PodHooks): void {
  fake.commit(addText(hooks));
}
function del(hooks: PodHooks): void {
  fake.commit(deletePodCommands(hooks).join('\n'));
}

/** Looks and applies, as an agent does that knows nothing yet. */
async function settle(want: Wanted): Promise<void> {
  await kernel.read(THOROUGH);
  await kernel.apply(want);
  fake.runs.length = 0;
  fake.commits.length = 0;
}

describe('a change', () => {
  test('is one transaction, and one more for what it leaves stale, and reads nothing; where nothing changed nothing is run', async () => {
    await kernel.read(THOROUGH);
    expect(await kernel.apply(wanted([...WORLD, toDb('web')]))).toEqual({ changed: true, mended: true, closed: true });
    expect(await kernel.apply(wanted([...WORLD, toDb('web')]))).toEqual({
      changed: false,
      mended: false,
      closed: false,
    });
    expect(await kernel.apply(wanted(WORLD))).toEqual({ changed: true, mended: true, closed: true });
    expect(fake.runs.toSorted()).toEqual(['commit', 'commit', 'commit', 'list bridge', 'list inet']);
    expect(fake.commits.at(-1)).toMatch(/^(?:(?:flush|delete) (?:chain|set) .*\n)+$/);
    expect(settledBlocks(fake.ruleset)).toEqual(await heldByAnother(wanted(WORLD)));
  });

  test('of a member that comes is one line and no generation; of one that leaves it begins one', async () => {
    await settle(wanted([...WORLD, toDb('cli'), cli(1)]));
    const before = claimed();
    expect(await kernel.apply(wanted([...WORLD, toDb('cli'), cli(1), cli(2)]))).toEqual({
      changed: true,
      mended: true,
      closed: false,
    });
    expect([fake.commits, claimed()]).toEqual([
      [
        expect.stringMatching(
          /^add set inet kube-nwplcy peers4-[A-Z2-7]{20} \{ type [^{]* elements = \{ 10\.0\.1\.2 \}; \}\n$/,
        ),
      ],
      before,
    ]);
    expect(await kernel.apply(wanted([...WORLD, toDb('cli'), cli(2)]))).toEqual({
      changed: true,
      mended: true,
      closed: true,
    });
    expect([fake.commits.length, claimed()]).toEqual([2, before + 1]);
  });

  // To change elements by a command of their own nft first reads what is in every set of ranges on the node.
  test('that closes has no command about elements: who leaves a set has it filled anew, who is no more isolated waits for the second transaction', async () => {
    const closed = policy('shop/web', { podSelector: { matchLabels: { app: 'web' } }, policyTypes: ['Ingress'] });
    await settle(wanted([...WORLD, toDb('cli'), cli(1), cli(2)]));
    await kernel.apply(wanted([...WORLD, toDb('cli'), cli(2), closed]));
    expect(fake.commits).toEqual([expect.not.stringContaining(' element ')]);
    expect(fake.commits[0]).toMatch(
      /^flush set inet kube-nwplcy (peers4-[A-Z2-7]{20})\nadd set inet kube-nwplcy \1 .* elements = \{ 10\.0\.1\.2 \}/m,
    );
    await kernel.apply(wanted([...WORLD, toDb('cli'), cli(2)]));
    expect(fake.commits.slice(1)).toEqual([
      expect.not.stringContaining(' element '),
      expect.stringContaining('delete element bridge kube-nwplcy isolated { "veth-web" }'),
    ]);
    expect(settledBlocks(fake.ruleset)).toEqual(await heldByAnother(wanted([...WORLD, toDb('cli'), cli(2)])));
  });

  test('takes one member out of a large set, and does not fill it anew', async () => {
    const crowd = (count: number) =>
      pod('shop/crowd', {
        labels: { app: 'cli' },
        addresses: Array.from({ length: count }, (_, index) => `10.1.${index >> 8}.${index & 255}`),
        nodeName: 'node-2',
      });
    await settle(wanted([...WORLD, toDb('cli'), crowd(1001)]));
    await kernel.apply(wanted([...WORLD, toDb('cli'), crowd(1000)]));
    expect(fake.commits).toEqual([
      expect.stringMatching(
        /^delete element inet kube-nwplcy peers4-[A-Z2-7]{20} \{ 10\.1\.3\.232 \}\n(?:.*judged.*\n|.*settle.*\n)+$/,
      ),
    ]);
    expect(settledBlocks(fake.ruleset)).toEqual(await heldByAnother(wanted([...WORLD, toDb('cli'), crowd(1000)])));
  });

  test('tells how much there is', async () => {
    await settle(wanted([...WORLD, toDb('cli')]));
    const blocks = [...settledBlocks(fake.ruleset).values()];
    const count = (start: RegExp) => blocks.filter((block) => start.test(block)).length;
    expect(kernel.size()).toEqual({ sets: count(/^\t(?:set|map) /), chains: count(/^\tchain /) });
  });
});

describe('an agent that starts', () => {
  test('takes over what it finds, and begins a generation: who was here before may have owed one', async () => {
    await settle(wanted([...WORLD, toDb('web')]));
    const found = settledBlocks(fake.ruleset);
    kernel = new NftKernel();
    await kernel.read(THOROUGH);
    expect(await kernel.apply(wanted([...WORLD, toDb('web')]))).toEqual({ changed: true, mended: true, closed: true });
    expect(fake.commits).toEqual([
      expect.stringMatching(/^(?:(?:flush|add) chain inet kube-nwplcy (?:judged|settle).*\n){4}$/),
    ]);
    expect(settledBlocks(fake.ruleset)).toEqual(found);
  });
});

describe('a failure', () => {
  test('changes nothing, and what was to be closed is closed by the next transaction, whatever else that does', async () => {
    const before = [...WORLD, toDb('cli'), cli(1)];
    await settle(wanted(before));
    fake.beforeNext('commit', () => ({
      exitCode: 1,
      stderr: 'Error: Could not process rule: Device or resource busy\n',
    }));
    await expect(kernel.apply(wanted([...WORLD, toDb('cli')]))).rejects.toThrow('Device or resource busy');
    await kernel.read(THOROUGH);
    // Meanwhile the peer is back: nothing is to be done but what is owed.
    expect(await kernel.apply(wanted(before))).toEqual({ changed: true, mended: true, closed: true });
    expect(await kernel.apply(wanted(before))).toEqual({ changed: false, mended: false, closed: false });
  });

  test('of what only opens owes nothing', async () => {
    await settle(wanted([...WORLD, toDb('cli')]));
    fake.beforeNext('commit', () => ({ exitCode: 1, stderr: 'Error: no memory\n' }));
    await expect(kernel.apply(wanted([...WORLD, toDb('cli'), cli(1)]))).rejects.toThrow('no memory');
    await kernel.read(THOROUGH);
    expect(await kernel.apply(wanted([...WORLD, toDb('cli'), cli(1)]))).toEqual({
      changed: true,
      mended: true,
      closed: false,
    });
  });

  test('to read, other than for want of a table, is told', async () => {
    fake.beforeNext('list bridge', () => ({ exitCode: 1, stderr: 'Error: Operation not permitted\n' }));
    await expect(kernel.read(THOROUGH)).rejects.toThrow('Operation not permitted');
  });
});

describe('a pod that an ADD has hooked in', () => {
  test('is taken over as it was written: only its judgement is changed', async () => {
    await settle(wanted([...WORLD, toDb('cli')], { attached: [WEB] }));
    await kernel.apply(wanted([...WORLD, toDb('cli')], { attached: [WEB], underWay: [DB] }));
    add(DB);
    kernel.noteHooked(DB, QUARANTINE);
    await kernel.apply(wanted([...WORLD, toDb('cli')]));
    expect(fake.commits.join('').match(/^(?:add|delete) element .*$/gm)).toBeNull();
    expect(settledBlocks(fake.ruleset)).toEqual(await heldByAnother(wanted([...WORLD, toDb('cli')])));
  });

  test('whose ADD was under way at a look is written once more: it may have been changed since', async () => {
    await settle(wanted(WORLD, { attached: [WEB] }));
    add(DB);
    await kernel.read(THOROUGH);
    await kernel.apply(wanted(WORLD, { attached: [WEB], underWay: [DB] }));
    const { to } = nftPodChainNames(DB);
    fake.commit(`flush chain inet kube-nwplcy ${to}`);
    kernel.noteHooked(DB, QUARANTINE);
    await kernel.apply(wanted(WORLD));
    expect(settledBlocks(fake.ruleset)).toEqual(await heldByAnother(wanted(WORLD)));
  });

  test('is left alone until its ADD has ended', async () => {
    await settle(wanted(WORLD, { attached: [WEB] }));
    add(DB);
    await kernel.read(THOROUGH);
    expect(await kernel.apply(wanted(WORLD, { attached: [WEB], underWay: [DB] }))).toEqual({
      changed: false,
      mended: false,
      closed: false,
    });
  });

  test('is left alone, with the lock of its sources, where its ADD came during the look', async () => {
    await settle(wanted(WORLD, { attached: [WEB] }));
    add(DB);
    await kernel.read(THOROUGH);
    const unsettled = wanted(WORLD, { attached: [WEB], unsettled: [DB] });
    expect(await kernel.apply(unsettled)).toEqual({ changed: false, mended: false, closed: false });
  });

  test('is refused until its ADD has ended where its table must be made anew', async () => {
    await settle(wanted(WORLD));
    fake.commit('delete table inet kube-nwplcy');
    await kernel.read(THOROUGH);
    await kernel.apply(wanted(WORLD, { attached: [WEB], underWay: [DB] }));
    const block = settledBlocks(fake.ruleset).get(`inet ${nftPodChainNames(DB).to}`);
    expect(block).toContain('\t\tgoto refuse-ingress\n');
  });
});

describe('a pod that a DEL is taking out', () => {
  const leaving = { attached: [DB], leaving: new Set([idOf(WEB)]) };

  test('is left to it, in every pass until it has ended', async () => {
    await settle(wanted(WORLD));
    for (const pass of [1, 2, 3]) {
      expect(await kernel.apply(wanted(WORLD, leaving)), `pass ${pass}`).toEqual({
        changed: false,
        mended: false,
        closed: false,
      });
      await kernel.read(THOROUGH);
    }
    del(WEB);
    await kernel.read(THOROUGH);
    expect(await kernel.apply(wanted(WORLD, { attached: [DB] }))).toEqual({
      changed: false,
      mended: false,
      closed: false,
    });
    expect(settledBlocks(fake.ruleset)).toEqual(await heldByAnother(wanted(WORLD, { attached: [DB] })));
  });

  test('is taken out when the DEL never ends', async () => {
    await settle(wanted(WORLD));
    await kernel.apply(wanted(WORLD, leaving));
    await kernel.read(THOROUGH);
    expect(await kernel.apply(wanted(WORLD, { attached: [DB] }))).toEqual({
      changed: true,
      mended: true,
      closed: true,
    });
    expect(settledBlocks(fake.ruleset)).toEqual(await heldByAnother(wanted(WORLD, { attached: [DB] })));
  });
});
