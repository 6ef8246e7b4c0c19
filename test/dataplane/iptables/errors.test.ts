import { expect, test } from 'vitest';
import { isBusy, isMissingChain, isOutdated, isUnreadable } from '../../../src/dataplane/iptables/errors.ts';

// What iptables 1.8.9 really says.
const NFT = 'iptables-nft-restore';

test.for<{ readonly stderr: string; readonly exitCode: number; readonly is: readonly string[] }>([
  {
    exitCode: 1,
    is: ['missing', 'outdated', 'unreadable'],
    stderr: `${NFT} v1.8.9 (nf_tables): chain \`X' in table \`filter' is incompatible, use 'nft' tool.\n`,
  },
  {
    exitCode: 3,
    is: ['outdated', 'unreadable'],
    stderr: `Error: cmp sreg undef\n${NFT} v1.8.9 (nf_tables): Parsing nftables rule failed\nPerhaps ${NFT} or your kernel needs to be upgraded.\n`,
  },
  { exitCode: 1, is: ['missing', 'outdated'], stderr: `${NFT}: line 2 failed: No chain/target/match by that name.\n` },
  {
    exitCode: 2,
    is: ['missing', 'outdated'],
    stderr: `${NFT} v1.8.9 (nf_tables): Chain 'X' does not exist\nError occurred at line: 4\nTry \`${NFT} -h' for more.\n`,
  },
  { exitCode: 1, is: ['missing', 'outdated'], stderr: 'iptables: No chain/target/match by that name.\n' },
  { exitCode: 1, is: ['missing', 'outdated'], stderr: 'iptables-restore: line 2 failed\n' },
  {
    exitCode: 2,
    is: ['missing', 'outdated'],
    stderr: "iptables-restore v1.8.9 (legacy): goto 'X' is not a chain\nError occurred at line: 3\n",
  },
  {
    exitCode: 2,
    is: ['missing', 'outdated'],
    stderr:
      "iptables-restore v1.8.9 (legacy): Couldn't load target `X':No such file or directory\n\nError occurred at line: 2\n",
  },
  {
    exitCode: 1,
    is: ['outdated'],
    stderr: `${NFT}: line 2 failed: Bad rule (does a matching rule exist in that chain?).\n`,
  },
  { exitCode: 1, is: ['outdated'], stderr: `${NFT}: line 2 failed: Chain already exists.\n` },
  {
    exitCode: 4,
    is: ['outdated'],
    stderr: `${NFT} v1.8.9 (nf_tables): \nline 3: CHAIN_DEL failed (Device or resource busy): chain X\n`,
  },
  {
    exitCode: 4,
    is: ['outdated'],
    stderr: `${NFT} v1.8.9 (nf_tables): \nline 3: CHAIN_USER_ADD failed (File exists): chain X\n`,
  },
  {
    exitCode: 4,
    is: ['outdated'],
    stderr: `${NFT} v1.8.9 (nf_tables): \nline 3: RULE_DELETE failed (No such file or directory): rule in chain X\n`,
  },
  {
    exitCode: 4,
    is: ['busy'],
    stderr: `${NFT} v1.8.9 (nf_tables): \nline 5: TABLE_ADD failed (Resource temporarily unavailable): table filter\n`,
  },
  {
    exitCode: 4,
    is: ['busy'],
    stderr:
      "Can't lock /run/xtables.lock: Resource temporarily unavailable\nAnother app is currently holding the xtables lock. Stopped waiting after 1s.\n",
  },
  {
    exitCode: 1,
    is: ['missing', 'outdated'],
    stderr:
      'Another app is currently holding the xtables lock; waiting (1s)\niptables-restore: line 2 failed\nLine 2 is: -F X\n',
  },
  {
    exitCode: 2,
    is: [],
    stderr: `${NFT} v1.8.9 (nf_tables): unknown option "--nonsense"\nError occurred at line: 2\n`,
  },
  { exitCode: 1, is: [], stderr: "iptables-restore: unable to initialize table 'filter'\n" },
  { exitCode: 4, is: [], stderr: "Fatal: can't open lock file /run/xtables.lock: Permission denied\n" },
])('$stderr', ({ stderr, exitCode, is }) => {
  const failure = { exitCode, stderr };
  const found = {
    busy: isBusy(failure),
    missing: isMissingChain(failure),
    outdated: isOutdated(failure),
    unreadable: isUnreadable(failure),
  };
  expect(Object.entries(found).flatMap(([name, yes]) => (yes ? [name] : []))).toEqual(is);
});
