import { describe, expect, test } from 'vitest';
import { NftRuleset } from './nftRuleset.ts';
import { RefusedError } from './restoreTable.ts';

// That the kernel does the same is for test/kernel/nftHelpers.test.ts to show, with many more texts.

const SOME = `
add table inet t { comment "ours"; }
add chain inet t a
add chain inet t b { comment "shop/web"; }
add chain inet t f { type filter hook forward priority filter - 10; policy accept; }
add set inet t s { type ipv4_addr; comment "peers"; }
add set inet t n { type ipv4_addr; flags interval; }
add set inet t p { type ifname . ipv4_addr; }
add map inet t m { type ipv4_addr : verdict; }
add element inet t s { 10.0.0.2 comment "shop/db", 10.0.0.1, 10.0.0.3 }
add element inet t n { 10.0.0.0/24, 11.0.0.0-11.0.0.6 }
add element inet t p { "veth1" . 10.0.0.1 }
add element inet t m { 10.0.0.1 comment "shop/web" : goto a }
add rule inet t b ip saddr @s tcp dport { 443, 80 } return comment "shop/allow"
add rule inet t f ip daddr vmap @m
`;

const LISTED = `table inet t {
	comment "ours"
	set s {
		type ipv4_addr
		comment "peers"
		elements = { 10.0.0.1, 10.0.0.2 comment "shop/db",
			     10.0.0.3 }
	}

	set n {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/24, 11.0.0.0-11.0.0.6 }
	}

	set p {
		type ifname . ipv4_addr
		elements = { "veth1" . 10.0.0.1 }
	}

	map m {
		type ipv4_addr : verdict
		elements = { 10.0.0.1 comment "shop/web" : goto a }
	}

	chain a {
	}

	chain b {
		comment "shop/web"
		ip saddr @s tcp dport { 80, 443 } return comment "shop/allow"
	}

	chain f {
		type filter hook forward priority filter - 10; policy accept;
		ip daddr vmap @m
	}
}
`;

test('a table is listed as nft lists it, and a listing is read back', () => {
  expect(NftRuleset.of(SOME).list('inet', 't')).toBe(LISTED);
  expect(NftRuleset.of(LISTED).list('inet', 't')).toBe(LISTED);
});

test('a transaction does what its lines say, in their order', () => {
  const ruleset = NftRuleset.of(SOME);
  ruleset.commit(`
    insert rule inet t b drop; add rule inet t b accept
    flush set inet t s
    add element inet t s { 10.0.0.9 }
    delete element inet t m { 10.0.0.1 }
    delete chain inet t a
    flush chain inet t f
    delete map inet t m
    delete element inet t n { 10.0.0.0-10.0.0.255 }
    delete set inet t p`);
  expect(ruleset.list('inet', 't')).toBe(`table inet t {
	comment "ours"
	set s {
		type ipv4_addr
		comment "peers"
		elements = { 10.0.0.9 }
	}

	set n {
		type ipv4_addr
		flags interval
		elements = { 11.0.0.0-11.0.0.6 }
	}

	chain b {
		comment "shop/web"
		drop
		ip saddr @s tcp dport { 80, 443 } return comment "shop/allow"
		accept
	}

	chain f {
		type filter hook forward priority filter - 10; policy accept;
	}
}
`);
});

test('a rule is deleted by the handle that a listing gives it', () => {
  const ruleset = NftRuleset.of(`${SOME}add rule inet t a accept; add rule inet t a drop; add rule inet t a return`);
  const handle = /\tdrop # handle (\d+)/.exec(ruleset.list('inet', 't', { handles: true }))?.[1];
  ruleset.commit(`delete rule inet t a handle ${handle}`);
  expect(ruleset.list('inet', 't')).toContain('\tchain a {\n\t\taccept\n\t\treturn\n\t}\n');
});

describe('a transaction is refused whole', () => {
  test.for([
    { text: 'create table inet t', reason: 'File exists' },
    { text: 'create chain inet t a', reason: 'File exists' },
    { text: 'create set inet t s { type ipv4_addr; }', reason: 'File exists' },
    { text: 'add set inet t s { type ipv6_addr; }', reason: 'File exists' },
    { text: 'add map inet t s { type ipv4_addr : verdict; }', reason: 'File exists' },
    { text: 'create element inet t s { 10.0.0.1 }', reason: 'File exists' },
    { text: 'add element inet t m { 10.0.0.1 : goto b }', reason: 'File exists' },
    { text: 'add element inet t n { 10.0.0.7 }', reason: 'interval overlaps' },
    { text: 'delete table inet u', reason: 'No such file or directory' },
    { text: 'delete chain inet t c', reason: 'No such file or directory' },
    { text: 'delete set inet t c', reason: 'No such file or directory' },
    { text: 'delete element inet t s { 10.0.0.9 }', reason: 'No such file or directory' },
    { text: 'delete element inet t n { 10.0.0.0/25 }', reason: 'No such file or directory' },
    { text: 'delete rule inet t b handle 999', reason: 'No such file or directory' },
    { text: 'flush chain inet t c', reason: 'No such file or directory' },
    { text: 'flush map inet t s', reason: 'No such file or directory' },
    { text: 'flush table inet u', reason: 'No such file or directory' },
    { text: 'add rule inet t c accept', reason: 'No such file or directory' },
    { text: 'add rule inet t a goto c', reason: 'No such file or directory' },
    { text: 'add rule inet t a tcp dport vmap { 80 : goto b, 81 : goto c }', reason: 'No such file or directory' },
    { text: 'add rule inet t a tcp dport vmap { 80-90 : goto b, 85 : goto b }', reason: 'conflicting intervals' },
    {
      text: 'add chain inet t c; add rule inet t a tcp dport vmap { 80 : goto c, 81 : drop }; delete chain inet t c',
      reason: 'Device or resource busy',
    },
    { text: 'add rule inet t a jump f', reason: 'Operation not supported' },
    { text: 'add rule inet t a ip saddr @c drop', reason: 'No such file or directory' },
    { text: 'add rule inet t a ip6 saddr @s drop', reason: 'datatype mismatch' },
    { text: 'add rule inet t a ip saddr vmap @s', reason: 'not a map' },
    { text: 'add rule inet t a tcp dport 80 udp dport 80 drop', reason: 'conflicting protocols' },
    { text: 'add rule inet t a drop accept', reason: 'Statement after terminal statement' },
    { text: 'add element inet t m { 10.0.0.9 : goto c }', reason: 'No such file or directory' },
    { text: 'add element inet t m { 10.0.0.9 }', reason: 'Invalid argument' },
    { text: 'add element inet t s { 10.0.0.0/24 }', reason: 'flags interval' },
    { text: 'delete chain inet t a', reason: 'Device or resource busy' },
    { text: 'add rule inet t b jump a; flush map inet t m; delete chain inet t a', reason: 'Device or resource busy' },
    { text: 'delete set inet t s', reason: 'Device or resource busy' },
    { text: 'delete map inet t m', reason: 'Device or resource busy' },
    { text: 'add rule inet t a goto b; add rule inet t b goto a; add rule inet t f jump a', reason: 'Too many links' },
    { text: 'add chain inet t f { type filter hook forward priority 0; }', reason: 'Operation not supported' },
    { text: 'add chain inet t a { policy drop; }', reason: 'Operation not supported' },
    { text: `add chain inet t ${'c'.repeat(129)}`, reason: 'out of range' },
    { text: `add table inet ${'c'.repeat(129)}`, reason: 'out of range' },
    { text: `add rule inet t a drop comment "${'ü'.repeat(65)}"`, reason: 'comment too long' },
    { text: `add set inet t c { type ipv4_addr; comment "${'c'.repeat(129)}"; }`, reason: 'comment too long' },
    ...'egress ingress mark fwd dup drop accept return jump goto add delete list set map table chain rule element type hook policy'
      .split(' ')
      .map((name) => ({ text: `add chain inet t ${name}`, reason: `unexpected ${name}` })),
  ])('$text', ({ text, reason }) => {
    const ruleset = NftRuleset.of(SOME);
    expect(() => ruleset.commit(`add chain inet t new\n${text}`)).toThrow(RefusedError);
    expect(() => ruleset.commit(text)).toThrow(reason);
    expect(ruleset.list('inet', 't')).toBe(LISTED);
  });
});

describe('a transaction is taken', () => {
  test.for([
    { name: 'that adds what is there', text: SOME },
    { name: 'that frees a chain first', text: 'flush map inet t m\ndelete chain inet t a' },
    {
      name: 'that leads an element elsewhere',
      text: 'delete element inet t m { 10.0.0.1 }\nadd element inet t m { 10.0.0.1 : goto b }',
    },
    {
      name: 'with names and comments that just fit',
      text: `add chain inet t ${'c'.repeat(128)} { comment "${'ü'.repeat(64)}"; }`,
    },
    { name: 'that goes in a circle where no packet comes', text: 'add rule inet t b goto b' },
    { name: 'that makes a table again', text: 'delete table inet t\nadd table inet t' },
  ])('$name', ({ text }) => {
    const ruleset = NftRuleset.of(SOME);
    expect(() => ruleset.commit(text)).not.toThrow();
  });
});

describe('what is not understood throws another error, and changes nothing', () => {
  test.for([
    { text: 'destroy table inet t', reason: 'unknown command "destroy"' },
    { text: 'add table ip t', reason: 'unknown family "ip"' },
    { text: 'add flowtable inet t x', reason: 'unknown object "flowtable"' },
    { text: 'add rule inet t a log drop', reason: 'unknown words "log drop"' },
    { text: 'add rule inet t a counter packets 0 bytes 0 drop', reason: 'unknown words "counter packets 0"' },
    { text: 'add rule inet t a tcp flags syn drop', reason: 'unknown words "tcp flags syn"' },
    { text: 'add rule inet t a tcp dport http drop', reason: 'unknown inet_service "http"' },
    { text: 'add rule inet t a ct state old drop', reason: 'unknown ct_state "old"' },
    { text: 'add rule inet t a ct status assured drop', reason: 'unknown ct_status "assured"' },
    { text: 'add rule inet t a ct status != dnat drop', reason: 'exactly' },
    { text: 'add rule inet t a fib saddr type broadcast drop', reason: 'unknown fib_addrtype "broadcast"' },
    { text: 'add rule inet t a iifname "veth*" drop', reason: 'unknown ifname "veth*"' },
    { text: 'add rule inet t a ip saddr . tcp dport vmap { 10.0.0.1 . 80 : drop }', reason: 'a map of concatenations' },
    { text: 'add rule inet t a reject with icmpx host-unreachable', reason: 'unknown answer "icmpx host-unreachable"' },
    { text: 'add rule inet t a ct mark set ct mark ^ 1', reason: 'unknown words "^ 1"' },
    {
      text: 'add set inet t x { type ipv4_addr; timeout 5s; }',
      reason: 'a set that packets fill has a size and a timeout',
    },
    { text: 'add set inet t x { type ipv4_addr . mark; }', reason: 'unknown type "mark"' },
    { text: 'add set inet t x { type ifname; flags interval; }', reason: 'intervals other than of one number' },
    { text: 'add chain inet t x { type nat hook prerouting priority 0; }', reason: '"filter" is expected' },
    { text: 'add rule inet t a drop comment "open', reason: 'Cannot read nft text: line 1 at' },
  ])('$text', ({ text, reason }) => {
    const ruleset = NftRuleset.of(SOME);
    const commit = () => ruleset.commit(`add chain inet t new; ${text}`);
    expect(commit).toThrow(reason);
    expect(commit).not.toThrow(RefusedError);
    expect(ruleset.list('inet', 't')).toBe(LISTED);
  });
});

test('a table that is not there has no listing', () => {
  expect(() => NftRuleset.of(SOME).list('bridge', 't')).toThrow(RefusedError);
});

test('a copy goes its own way', () => {
  const ruleset = NftRuleset.of(SOME);
  const copy = ruleset.copy();
  copy.commit('flush table inet t; flush set inet t s; delete chain inet t b');
  expect(ruleset.list('inet', 't')).toBe(LISTED);
  expect(copy.tables.get('inet t')?.chains.has('b')).toBe(false);
});

test('tables that were read before a transaction stay as they were', () => {
  const ruleset = NftRuleset.of(SOME);
  const before = ruleset.tables;
  ruleset.commit('add rule inet t a drop; add element inet t s { 10.0.0.9 }; delete element inet t m { 10.0.0.1 }');
  expect(before.get('inet t')?.chains.get('a')?.rules).toEqual([]);
  expect(before.get('inet t')?.sets.get('s')?.elements.size).toBe(3);
  expect(before.get('inet t')?.sets.get('m')?.elements.size).toBe(1);
  expect(ruleset.tables.get('inet t')?.sets.get('m')?.elements.size).toBe(0);
});
