import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NftKernel } from '../../../src/dataplane/nftables/nftKernel.ts';
import { FakeNft } from '../../helpers/fakeNft.ts';
import { settledBlocks } from '../../helpers/nftNode.ts';
import { nodeIn } from '../../rules/nftables/nodeStates.ts';
import { follow, stepLists, type Node } from '../followed.ts';

function nodeOn(fake: FakeNft): Node {
  return {
    kernel: new NftKernel(),
    fail: () => {
      let isFailing = true;
      fake.beforeNext('commit', () => (isFailing ? { exitCode: 1, stderr: 'no luck\n' } : undefined));
      return () => void (isFailing = false);
    },
    damage: (pick) => {
      const inet = fake.ruleset.tables.get('inet kube-nwplcy');
      const chains = [...(inet?.chains.keys() ?? [])];
      if (chains.length > 0) fake.commit(`flush chain inet kube-nwplcy ${chains[pick % chains.length]}`);
      const sets = [...(inet?.sets.values() ?? [])].filter(({ elements }) => elements.size > 0);
      const set = sets[pick % sets.length];
      if (set !== undefined) fake.commit(`flush ${set.kind} inet kube-nwplcy ${set.name}`);
    },
    expectState: (state) => expect(settledBlocks(fake.ruleset)).toEqual(settledBlocks(nodeIn(state))),
  };
}

test(
  'whatever changes, fails or is damaged, the kernel holds what one would that was brought there from nothing',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(stepLists, async (steps) => {
        const fake = await FakeNft.start();
        try {
          for (const applied of await follow(steps, nodeOn(fake)))
            expect(applied).toEqual({ changed: false, mended: false, closed: false });
        } finally {
          fake.stop();
        }
      }),
      { numRuns: 12 },
    );
  },
);
