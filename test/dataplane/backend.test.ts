import { describe, expect, test } from 'vitest';
import { BACKENDS, detectBackend, isBackend, programOf } from '../../src/dataplane/backend.ts';
import { FakePrograms, nftScript } from '../helpers/fakePrograms.ts';

// In their programs' words. What is in use of the legacy tables depends on the machine, and is nothing that these tests lean on.
const NO_CHAIN = `echo "iptables v1.8.9 (nf_tables): chain \\\`$4' in table \\\`$2' is incompatible, use 'nft' tool." >&2; exit 1`;
const NO_NF_TABLES = 'echo "iptables: Failed to initialize nft: Protocol not supported" >&2; exit 3';
const HINT = '[ "$*" = "-t mangle -S KUBE-IPTABLES-HINT" ] && exit 0';
const CANARY = '[ "$*" = "-t mangle -S KUBE-KUBELET-CANARY" ] && exit 0';
const NOTHING = 'exit 0';

const NFT = { 'iptables-nft': NO_CHAIN, 'iptables-nft-restore': NOTHING, 'iptables-nft-save': NOTHING };
const LEGACY = { 'iptables-legacy': NO_CHAIN, 'iptables-legacy-restore': NOTHING, 'iptables-legacy-save': NOTHING };
const OLD_NFT = `[ "$*" = --version ] && echo 'nftables v0.9.3 (Topsy)' && exit\necho 'table ip kube-proxy'`;

interface Case {
  readonly what: string;
  readonly programs: Readonly<Record<string, string>>;
  readonly choice: readonly [string, string] | undefined;
}

describe('the backend that others use', () => {
  test.for<Case>([
    { what: 'nothing is installed', programs: {}, choice: undefined },
    { what: 'there is nft alone', programs: { nft: nftScript() }, choice: ['nftables', 'iptables is not installed'] },
    { what: 'nft alone is too old', programs: { nft: OLD_NFT }, choice: undefined },
    {
      what: 'kube-proxy has a table of its own',
      programs: { nft: nftScript('ip kube-proxy', 'ip6 kube-proxy'), ...NFT, 'iptables-nft': HINT, ...LEGACY },
      choice: ['nftables', 'kube-proxy uses it'],
    },
    {
      what: 'kube-proxy has one for IPv6 alone',
      programs: { nft: nftScript('inet filter', 'ip6 kube-proxy'), ...NFT },
      choice: ['nftables', 'kube-proxy uses it'],
    },
    {
      what: 'a table is only called like kube-proxy’s',
      programs: { nft: nftScript('ip kube-proxy2', 'ip not-kube-proxy', 'ip kube-proxy-old'), ...NFT },
      choice: ['iptables-nft', 'only iptables-nft is installed'],
    },
    {
      what: 'kube-proxy has a table, but nft is too old for ours',
      programs: { nft: OLD_NFT, ...NFT },
      choice: ['iptables-nft', 'only iptables-nft is installed'],
    },
    {
      what: 'nft cannot list tables',
      programs: { nft: nftScript().replace(/exit 0$/, 'kill -SEGV $$'), ...NFT },
      choice: ['iptables-nft', 'only iptables-nft is installed'],
    },
    {
      what: 'there is iptables-nft beside nft',
      programs: { nft: nftScript(), ...NFT },
      choice: ['iptables-nft', 'only iptables-nft is installed'],
    },
    {
      what: 'there is iptables-legacy alone',
      programs: LEGACY,
      choice: ['iptables-legacy', 'only iptables-legacy is installed'],
    },
    {
      what: 'kube-proxy has left its hint',
      programs: { nft: nftScript(), ...NFT, ...LEGACY, 'iptables-nft': `${HINT}\n${NO_CHAIN}` },
      choice: ['iptables-nft', 'the kubelet or kube-proxy uses it'],
    },
    {
      what: 'the kubelet has left its canary',
      programs: { ...NFT, ...LEGACY, 'iptables-nft': `${CANARY}\n${NO_CHAIN}` },
      choice: ['iptables-nft', 'the kubelet or kube-proxy uses it'],
    },
    {
      what: 'the kernel has no nf_tables',
      programs: { ...NFT, ...LEGACY, 'iptables-nft': NO_NF_TABLES },
      choice: ['iptables-legacy', 'the kernel has no nf_tables'],
    },
    {
      what: 'nobody has left anything',
      programs: { nft: nftScript(), ...NFT, ...LEGACY },
      choice: ['iptables-nft', 'no other is in use'],
    },
  ])('when $what', ({ programs, choice }) => {
    using fake = new FakePrograms(programs);
    const found = detectBackend(fake.env);
    expect(found && [found.backend, found.reason]).toEqual(choice);
  });
});

test('each backend has the program that writes its rules', () => {
  expect(BACKENDS.map((backend) => [backend, programOf(backend), isBackend(backend)])).toEqual([
    ['nftables', 'nft', true],
    ['iptables-nft', 'iptables-nft-restore', true],
    ['iptables-legacy', 'iptables-legacy-restore', true],
  ]);
  expect(['iptables', 'auto', '', undefined].map(isBackend)).toEqual([false, false, false, false]);
});
