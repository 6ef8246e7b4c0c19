import { expect, test } from 'vitest';
import { listedPlace } from '../../../src/dataplane/iptables/nftListing.ts';

// What nft 1.0.6 really prints.
const chain = (name: string, rules: readonly string[]) =>
  ['table ip filter {', `\tchain ${name} {`, '\t\ttype filter hook x priority filter; policy accept;']
    .concat(
      rules.map((rule) => `\t\t${rule}`),
      '\t}',
      '}',
      '',
    )
    .join('\n');

const JUMP = 'counter jump KUBE-NWPLCY-CHAIN';
const COUNTED = 'counter packets 17 bytes 1020 jump KUBE-NWPLCY-CHAIN';
const OUTPUT = 'fib saddr type != local counter jump KUBE-NWPLCY-CHAIN';
const OTHER = 'fib daddr type local counter accept';
const LIAR = 'counter accept comment "counter jump KUBE-NWPLCY-CHAIN"';

test.for([
  { rules: [JUMP, OTHER], found: 'right', notFound: 'right' },
  { rules: [COUNTED], found: 'right', notFound: 'right' },
  { rules: [JUMP, OTHER, JUMP], found: 'right', notFound: 'right' },
  { rules: [OTHER, JUMP], found: 'wrong', notFound: 'missing' },
  { rules: [LIAR, JUMP], found: 'wrong', notFound: 'missing' },
  { rules: [OTHER, LIAR, `meta mark 0x1 ${JUMP}`, OUTPUT], found: 'missing', notFound: 'missing' },
  { rules: [], found: 'missing', notFound: 'missing' },
])('FORWARD with $rules is $found where iptables finds our jump, else $notFound', ({ rules, found, notFound }) => {
  const text = chain('FORWARD', rules);
  const places = [true, false].map((isFound) => listedPlace(text, { chain: 'FORWARD', isFound }));
  expect(places).toEqual([found, notFound]);
});

test.for([
  { rules: [OTHER, OUTPUT], place: 'right' },
  { rules: ['xt match "addrtype" counter packets 0 bytes 0 jump KUBE-NWPLCY-CHAIN'], place: 'right' },
  { rules: [OTHER, JUMP, LIAR], place: 'missing' },
])('OUTPUT with $rules is $place', ({ rules, place }) => {
  expect(listedPlace(chain('OUTPUT', rules), { chain: 'OUTPUT', isFound: false })).toBe(place);
});
