import { beforeEach, expect, test } from 'vitest';
import { parseIpsetDump } from '../../src/trace/iptables/ipsetDump.ts';
import { SetTable } from './setTable.ts';

let table: SetTable;
beforeEach(() => {
  table = new SetTable({ isInUse: (name) => name === 'USED' });
  table.restore([
    'create USED hash:ip family inet maxelem 10',
    'create NETS hash:net family inet6 maxelem 10',
    'add NETS fd00::/64',
    'add NETS fd00::1 nomatch',
  ]);
});

test('a table is printed as ipset does', () => {
  expect(table.save()).toBe(
    [
      'create USED hash:ip family inet maxelem 10 hashsize 1024 bucketsize 12 initval 0x2f4a5c3e',
      'create NETS hash:net family inet6 maxelem 10 hashsize 1024 bucketsize 12 initval 0x2f4a5c3e',
      'add NETS fd00::/64',
      'add NETS fd00::1 nomatch',
      '',
    ].join('\n'),
  );
  expect([...parseIpsetDump(table.save()).keys()]).toEqual(['USED', 'NETS']);
  expect(table.list().match(/^(?:Name|Number of entries): .*$|^$/gm)).toEqual([
    'Name: USED',
    'Number of entries: 0',
    '',
    'Name: NETS',
    'Number of entries: 2',
    '',
  ]);
});

test('what is there already, or gone already, is no error', () => {
  const before = table.save();
  table.restore([
    'create USED hash:ip family inet maxelem 10',
    'add NETS fd00::/64',
    'del NETS fd00::2',
    'destroy NONE',
  ]);
  expect(table.save()).toBe(before);
});

test('a member that is added again has its options anew', () => {
  table.restore(['add NETS fd00::/64 nomatch', 'add NETS fd00::1']);
  expect([...(table.sets.get('NETS') ?? [])]).toEqual(['fd00::/64 nomatch', 'fd00::1']);
});

test('a set is destroyed with its members', () => {
  table.restore(['destroy NETS', 'create NETS hash:ip,port family inet maxelem 10']);
  expect(table.sets).toEqual(
    new Map([
      ['USED', new Set()],
      ['NETS', new Set()],
    ]),
  );
});

test.for([
  { line: 'destroy USED', reason: 'Set cannot be destroyed: it is in use by a kernel component' },
  { line: 'add NONE 10.0.0.1', reason: 'The set with the given name does not exist' },
  { line: 'del NONE 10.0.0.1', reason: 'The set with the given name does not exist' },
  { line: 'add USED fd00::1', reason: 'Syntax error: cannot parse' },
  { line: 'add NETS 10.0.0.1', reason: 'Syntax error: cannot parse' },
  { line: 'add NETS ::/0', reason: 'The value of the CIDR parameter of the IP address is invalid' },
  { line: 'add USED 10.0.0.1 nomatch', reason: 'Unknown argument: `nomatch`' },
  { line: 'create NETS hash:net family inet maxelem 10', reason: 'set with the same name already exists' },
  { line: `create ${'N'.repeat(32)} hash:ip family inet maxelem 10`, reason: 'is longer than 31 characters' },
  { line: 'create OTHER bitmap:port range 0-1', reason: 'Syntax error' },
  { line: 'flush USED', reason: 'Unknown command' },
])('$line is refused, what went before it stays', ({ line, reason }) => {
  expect(() => table.restore(['add USED 10.0.0.9', line])).toThrow(
    `Error in line 2: ${reason.startsWith('is ') || reason.startsWith('set ') ? '' : reason}`,
  );
  expect(() => table.restore([line])).toThrow(reason);
  expect(table.sets.get('USED')).toEqual(new Set(['10.0.0.9']));
});
