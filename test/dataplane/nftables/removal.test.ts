import { describe, expect, test } from 'vitest';
import { removeTables } from '../../../src/dataplane/nftables/removal.ts';
import { FakePrograms } from '../../helpers/fakePrograms.ts';

const OURS = ['table inet kube-nwplcy', 'table bridge kube-nwplcy'];
const TABLES = ['table inet filter', ...OURS, 'table inet kube-nwplcy-2'];

/** Removes our tables by a program that runs these scripts for the listing and for what comes by stdin. */
function removed(list: string, commit = 'exit 1') {
  using fake = new FakePrograms({ nft: `case "$1" in list) ${list};; *) ${commit};; esac` });
  return removeTables({ env: fake.env, dryRun: false });
}

const listing = `printf '%s\\n' ${TABLES.map((table) => `'${table}'`).join(' ')}`;

test('our two tables are deleted, and no other', () => {
  const isOurs = `read first; read second; read more; test "$first, $second, $more" = "${OURS.map((table) => `delete ${table}`).join(', ')}, "`;
  expect(removed(listing, isOurs)).toEqual({
    from: 'nftables',
    what: '2 tables',
    problem: undefined,
  });
});

test('where we have none, nothing is written', () => {
  expect(removed('echo table inet filter')).toEqual({ from: 'nftables', what: undefined, problem: undefined });
});

describe('where tables cannot be listed', () => {
  test('that is told: ours may be there', () => {
    expect(removed('kill -SEGV $$')).toMatchObject({ what: undefined, problem: expect.stringContaining('it crashed') });
    expect(removed('echo no >&2; exit 1')).toMatchObject({ what: undefined, problem: expect.stringContaining('no') });
  });

  test('because the kernel has none, there are none', () => {
    const none = { from: 'nftables', what: undefined, problem: undefined };
    expect(removed('echo "Error: cache initialization failed: Operation not supported" >&2; exit 1')).toEqual(none);
  });
});
