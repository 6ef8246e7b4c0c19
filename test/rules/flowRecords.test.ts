import { expect, test } from 'vitest';
import { MOST_RECORDS, RECORD_PLACES, RECORD_SECONDS } from '../../src/rules/flowRecords.ts';
import { recordsOf } from '../../src/rules/recordedFlows.ts';
import { endChains, recordSetLines, spoiltEndChains } from '../../src/rules/iptables/endChains.ts';
import { parseRecordMembers as parseIpset } from '../../src/rules/iptables/recordMembers.ts';
import { isOurSet, isRecordSet, recordSetNames } from '../../src/rules/names.ts';
import { parseRecordMembers as parseNft } from '../../src/rules/nftables/recordMembers.ts';

const PLACE = { kind: 'denied', direction: 'ingress', family: 'ipv4' } as const;
const NOW = Date.parse('2026-01-01T12:00:00Z');

const IPSET = `create NWPLCY4-DENIED-INGRESS hash:ip,port,ip family inet hashsize 256 maxelem 1024 timeout 600 counters bucketsize 12 initval 0x8287e258
add NWPLCY4-DENIED-INGRESS 10.0.0.1,tcp:80,10.0.0.2 timeout 500 packets 7 bytes 420
add NWPLCY4-DENIED-INGRESS 10.0.0.1,icmp:echo-request,10.0.0.2 timeout 599 packets 4 bytes 5
add NWPLCY4-DENIED-INGRESS 10.0.0.1,icmp:13/0,10.0.0.2 timeout 590 packets 1 bytes 5
add NWPLCY4-DENIED-INGRESS 10.0.0.1,253:0,10.0.0.2 timeout 580 packets 1 bytes 5
`;
const IPSET_LAST = `create NWPLCY4-DENIED-INGRESS-LAST hash:ip,port,ip family inet hashsize 512 maxelem 2048 timeout 600
add NWPLCY4-DENIED-INGRESS-LAST 10.0.0.1,tcp:80,10.0.0.2 timeout 595
add NWPLCY4-DENIED-INGRESS-LAST 10.0.0.1,tcp:9999,10.0.0.2 timeout 595
`;
const NFT = `table inet kube-nwplcy {
	set denied-ingress4 {
		type ipv4_addr . ipv4_addr . inet_proto . inet_service
		size 1024
		flags dynamic,timeout
		timeout 10m
		comment "what ingress was refused"
		elements = { 10.0.0.1 . 10.0.0.2 . tcp . 80 counter packets 7 bytes 420 expires 8m20s,
			     10.0.0.1 . 10.0.0.2 . icmp . 0 counter packets 5 bytes 10 expires 9m50s4ms,
			     10.0.0.1 . 10.0.0.2 . 253 . 0 counter packets 1 bytes 5 expires 9m40s }
	}
}
`;
const NFT_LAST = `table inet kube-nwplcy {
	set denied-ingress-last4 {
		elements = { 10.0.0.1 . 10.0.0.2 . tcp . 80 expires 9m55s, 10.0.0.1 . 10.0.0.2 . tcp . 9999 expires 9m55s }
	}
}
`;

test.for([
  { from: 'ipset', members: { flows: parseIpset(IPSET), last: parseIpset(IPSET_LAST) }, icmpLast: '11:59:59' },
  { from: 'nft', members: { flows: parseNft(NFT), last: parseNft(NFT_LAST) }, icmpLast: '11:59:50' },
])('what $from prints is read as flows, types of ICMP as one', ({ members, icmpLast }) => {
  const clock = (time: number) => new Date(time).toISOString().slice(11, 19);
  const records = recordsOf(PLACE, members, NOW);
  expect(
    records.map(({ source, destination, protocol, port, packets, firstSeen, lastSeen }) =>
      [source, destination, protocol, port, packets, clock(firstSeen), clock(lastSeen)].join(' '),
    ),
  ).toEqual([
    '10.0.0.1 10.0.0.2 TCP 80 7 11:58:20 11:59:55',
    `10.0.0.1 10.0.0.2 ICMP  5 11:59:50 ${icmpLast}`,
    '10.0.0.1 10.0.0.2 253  1 11:59:40 11:59:40',
  ]);
});

test('IPv6 is read from both', () => {
  const [one] = parseIpset('add X fd00::1,ipv6-icmp:echo-request,fd00::2 timeout 599 packets 1 bytes 2\n');
  const [other] = parseNft('elements = { fd00::1 . fd00::2 . ipv6-icmp . 0 counter packets 1 bytes 2 expires 9m59s }');
  expect(one).toEqual(other);
  expect(one).toMatchObject({ source: 'fd00::1', destination: 'fd00::2', protocol: 'ICMPV6', port: undefined });
});

test('the sets have names of their own, and never get full', () => {
  for (const place of RECORD_PLACES) {
    for (const name of Object.values(recordSetNames(place))) {
      expect([isRecordSet(name), isOurSet(name), name.length <= 31]).toEqual([true, false, true]);
    }
    const rules = endChains(place.family, { isRecording: true }).flatMap((chain) => chain.rules);
    const rule = rules.find((text) => text.includes(`--add-set ${recordSetNames(place).flows} `));
    const [, rate, unit = '', burst] = /--limit (\d+)\/(\w+) --limit-burst (\d+)/.exec(rule ?? '') ?? [];
    const perSecond = Number(rate) / (unit === 'sec' ? 1 : 60);
    const most = Number(burst) + perSecond * RECORD_SECONDS[place.kind];
    expect(most).toBeLessThanOrEqual(MOST_RECORDS[place.kind]);
    expect(recordSetLines(place).map((line) => Number(/maxelem (\d+)/.exec(line)?.[1]))).toEqual([
      MOST_RECORDS[place.kind],
      2 * MOST_RECORDS[place.kind],
    ]);
  }
});

test('an end chain that holds neither what it should, recording or not, is told', () => {
  const found = (isRecording: boolean) =>
    new Map(endChains('ipv4', { isRecording }).map(({ name, rules }) => [name, rules]));
  expect([spoiltEndChains(found(true), 'ipv4'), spoiltEndChains(found(false), 'ipv4')]).toEqual([[], []]);
  expect(spoiltEndChains(new Map(), 'ipv4')).toEqual([]);
  for (const isRecording of [true, false])
    for (const nflogGroup of [0, 65_535]) {
      const logging = endChains('ipv4', { isRecording, nflogGroup }).map(({ name, rules }) => [name, rules] as const);
      expect(spoiltEndChains(new Map(logging), 'ipv4')).toEqual([]);
    }
  const spoilt = new Map([...found(true), ['NWPLCY-REJECT-EGRESS', []], ['NWPLCY-REJECT-INGRESS', ['-j RETURN']]]);
  expect(spoiltEndChains(spoilt, 'ipv4')).toEqual([
    { name: 'NWPLCY-REJECT-EGRESS', rules: ['-g NWPLCY-REJECT'] },
    { name: 'NWPLCY-REJECT-INGRESS', rules: ['-g NWPLCY-REJECT'] },
  ]);
});
