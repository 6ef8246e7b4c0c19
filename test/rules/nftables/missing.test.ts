import { describe, expect, test } from 'vitest';
import { bringUpCommands } from '../../../src/rules/nftables/bringUp.ts';
import { missingOfPod } from '../../../src/rules/nftables/missing.ts';
import { nftPodChainNames } from '../../../src/rules/nftables/names.ts';
import { addPodCommands } from '../../../src/rules/nftables/podCommands.ts';
import { QUARANTINE } from '../../../src/rules/pod.ts';
import { commit, readTables } from '../../helpers/nftNode.ts';
import { NftRuleset } from '../../helpers/nftRuleset.ts';
import { hooksOf } from './nodeStates.ts';

const POD = hooksOf('shop/web', { addresses: ['10.0.0.1', 'fd00::1'], port: 'bridged' });
const { to, from } = nftPodChainNames(POD);

/** Returns what is missing of the pod on a node where somebody has done this. */
function missingAfter(...spoils: readonly string[]): readonly string[] {
  const ruleset = new NftRuleset();
  commit(ruleset, [...bringUpCommands({ value: 0x10000, mask: 0xffff0000 }), ...addPodCommands(POD, QUARANTINE)]);
  commit(ruleset, spoils);
  return missingOfPod(POD, readTables(ruleset));
}

describe('of a pod that is hooked in', () => {
  test('nothing is missing, whatever its chains say by now', () => {
    expect(missingAfter()).toEqual([]);
    expect(missingAfter(`flush chain inet kube-nwplcy ${to}`, `add rule inet kube-nwplcy ${to} drop`)).toEqual([]);
  });

  test.for<{ readonly what: string; readonly spoils: readonly string[]; readonly missing: readonly string[] }>([
    {
      what: 'an element',
      spoils: ['delete element inet kube-nwplcy ingress4 { 10.0.0.1 }'],
      missing: [`element 10.0.0.1 : goto ${to} (ingress4)`],
    },
    {
      what: 'an element that leads elsewhere',
      spoils: [
        'delete element inet kube-nwplcy egress6 { fd00::1 }',
        `add element inet kube-nwplcy egress6 { fd00::1 : goto ${to} }`,
      ],
      missing: [`element fd00::1 : goto ${from} (egress6)`],
    },
    {
      what: 'the lock',
      spoils: ['delete element bridge kube-nwplcy interfaces { "veth-web" }'],
      missing: ['element "veth-web" (interfaces)'],
    },
    {
      what: 'a source',
      spoils: ['flush set bridge kube-nwplcy sources4'],
      missing: ['element "veth-web" . 10.0.0.1 (sources4)'],
    },
    {
      what: 'a chain',
      spoils: [
        'flush map inet kube-nwplcy ingress4',
        'flush map inet kube-nwplcy ingress6',
        `delete chain inet kube-nwplcy ${to}`,
      ],
      missing: [`chain ${to}`, `element 10.0.0.1 : goto ${to} (ingress4)`, `element fd00::1 : goto ${to} (ingress6)`],
    },
    {
      what: 'what stands beside it',
      spoils: [
        'delete chain inet kube-nwplcy forward',
        'flush chain inet kube-nwplcy to-pods',
        'delete map inet kube-nwplcy ingress6',
      ],
      missing: ['chain forward (inet)', 'map ingress6 (inet)', `element fd00::1 : goto ${to} (ingress6)`],
    },
    {
      what: 'a table',
      spoils: ['delete table bridge kube-nwplcy'],
      missing: [
        'table bridge kube-nwplcy',
        'element "veth-web" (interfaces)',
        'element "veth-web" . 10.0.0.1 (sources4)',
        'element "veth-web" . fd00::1 (sources6)',
      ],
    },
  ])('is told: $what', ({ spoils, missing }) => {
    expect(missingAfter(...spoils)).toEqual(missing);
  });

  test('all of it is told where there is nothing', () => {
    expect(missingOfPod(POD, { inet: undefined, bridge: undefined })).toHaveLength(2 + 2 + 4 + 3);
  });
});
