import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { nftProblem } from '../../../src/dataplane/nftables/version.ts';
import { TemporaryDirectory } from '../../helpers/temporaryDirectory.ts';

/** Returns what keeps an nft of this version from being used under a kernel; `list` is what it does when it is to list tables. */
function problemOf(version: string, kernel: string, list = 'exit 0'): string | undefined {
  using directory = new TemporaryDirectory();
  const script = `#!/bin/sh\n[ "$*" = --version ] && echo '${version}' && exit\n[ "$*" = 'list tables' ] || exit 99\n${list}\n`;
  writeFileSync(directory.file('nft'), script, { mode: 0o700 });
  return nftProblem({ PATH: directory.path }, kernel);
}

const NFT = 'nftables v1.0.6 (Lester Gooch #5)';

describe('nft can be used', () => {
  test.for([
    { version: NFT, kernel: '6.1.0-18-amd64' },
    { version: 'nftables v1.0.1 (Fearless Fosdick #3)', kernel: '5.10.0' },
    { version: 'nftables v1.1.3 (Commodore Bullmoose #4)', kernel: '5.15.0-1057-aws' },
    { version: 'nftables v2.0', kernel: '10.0' },
  ])('$version with kernel $kernel', ({ version, kernel }) => {
    expect(problemOf(version, kernel)).toBeUndefined();
  });
});

describe('nft cannot be used, and it is told why', () => {
  test.for([
    {
      version: 'nftables v1.0.0 (Fearless Fosdick #2)',
      kernel: '6.1.0',
      problem: /^nft is 1\.0\.0, and 1\.0\.1 or newer is needed/,
    },
    { version: 'nftables v0.9.3 (Topsy)', kernel: '6.1.0', problem: /^nft is 0\.9\.3, / },
    { version: NFT, kernel: '5.9.16', problem: /^the kernel is 5\.9\.16, and nftables needs 5\.10 or newer/ },
    { version: NFT, kernel: '4.18.0-513.el8.x86_64', problem: /^the kernel is 4\.18\.0-513\.el8\.x86_64, / },
    { version: 'what is this', kernel: '6.1.0', problem: /^nft is of an unknown version, / },
    { version: NFT, kernel: 'of an unknown version', problem: /^the kernel is of an unknown version, / },
  ])('$version with kernel $kernel', ({ version, kernel, problem }) => {
    expect(problemOf(version, kernel)).toMatch(problem);
  });

  test.for([
    {
      how: 'crashes',
      list: 'kill -SEGV $$',
      problem: /^Cannot run ".*\/nft list tables": SIGSEGV, it crashed: before 1\.1\.2 /,
    },
    {
      how: 'may not',
      list: 'echo "Operation not permitted (you must be root)" >&2; exit 1',
      problem: /^Cannot run ".*\/nft list tables": exit code 1, Operation not permitted/,
    },
    { how: 'fails without a word', list: 'exit 3', problem: /^Cannot run ".*\/nft list tables": exit code 3$/ },
  ])('where it $how', ({ list, problem }) => {
    expect(problemOf(NFT, '6.1.0', list)).toMatch(problem);
  });

  test('where it is not installed', () => {
    using directory = new TemporaryDirectory();
    expect(nftProblem({ PATH: directory.path }, '6.1.0')).toBe(
      'nft is not installed; install "nftables" 1.0.1 or newer',
    );
  });
});
