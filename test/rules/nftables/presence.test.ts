import { describe, expect, test } from 'vitest';
import { nftPodChainNames } from '../../../src/rules/nftables/names.ts';
import { arePresent, presenceCommands } from '../../../src/rules/nftables/presence.ts';
import { hooksOf } from './nodeStates.ts';

const POD = hooksOf('shop/web', { addresses: ['10.0.0.1'], port: 'bridged' });
const { to, from } = nftPodChainNames(POD);
const COMMANDS = presenceCommands(POD);

test('each element is to be created, and where it leads somewhere, added too', () => {
  expect(COMMANDS).toEqual([
    `create element inet kube-nwplcy ingress4 { 10.0.0.1 : goto ${to} }`,
    `add element inet kube-nwplcy ingress4 { 10.0.0.1 : goto ${to} }`,
    `create element inet kube-nwplcy egress4 { 10.0.0.1 : goto ${from} }`,
    `add element inet kube-nwplcy egress4 { 10.0.0.1 : goto ${from} }`,
    'create element bridge kube-nwplcy interfaces { "veth-web" }',
    'create element bridge kube-nwplcy sources4 { "veth-web" . 10.0.0.1 }',
  ]);
});

/** Returns what nft 1.0.6 prints when the kernel refuses these commands, counted from 1. */
function refusal(lines: readonly number[], reason = 'File exists'): string {
  return lines
    .map(
      (line) =>
        `/dev/stdin:${line}:44-51: Error: Could not process rule: ${reason}\n${COMMANDS[line - 1]}\n   ^^^^^^\n`,
    )
    .join('');
}

describe('all is there', () => {
  test('when exactly the creations were refused', () => {
    expect(arePresent(COMMANDS, refusal([1, 3, 5, 6]))).toBe(true);
  });

  test.for([
    { title: 'nothing was refused', printed: '' },
    { title: 'one was not refused', printed: refusal([1, 3, 5]) },
    { title: 'one leads elsewhere', printed: refusal([1, 2, 3, 5, 6]) },
    { title: 'one leads elsewhere and another is missing', printed: refusal([1, 2, 5, 6]) },
    { title: 'a chain is missing', printed: refusal([1, 3, 5, 6], 'No such file or directory') },
    { title: 'nft says more', printed: `${refusal([1, 3, 5, 6])}Error: Could not receive data\n` },
    { title: 'nft says it otherwise', printed: 'netlink: Error: Could not process rule: File exists\n'.repeat(4) },
  ])('not when $title', ({ printed }) => {
    expect(arePresent(COMMANDS, printed)).toBe(false);
  });
});
