import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  deleteFlowsFrom,
  deleteUdpFlows,
  listUdpFlows,
  parseConntrack,
  type TrackedFlow,
} from '../../src/dataplane/conntrack.ts';
import { FakeNetfilter } from '../helpers/fakeNetfilter.ts';

describe('what conntrack prints', () => {
  test.for([
    {
      what: 'a flow that was answered',
      line: 'udp      17 116 src=10.0.0.1 dst=10.0.0.2 sport=40000 dport=53 src=10.0.0.2 dst=10.0.0.1 sport=53 dport=40000 [ASSURED] mark=65536 use=1',
      flow: {
        source: '10.0.0.1',
        sourcePort: 40_000,
        sentTo: '10.0.0.2',
        sentToPort: 53,
        destination: '10.0.0.2',
        destinationPort: 53,
      },
    },
    {
      what: 'a flow that was not answered, through a Service',
      line: 'udp      17 29 src=10.0.0.1 dst=10.96.0.10 sport=40000 dport=53 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=5353 dport=40000 mark=0 use=1',
      flow: {
        source: '10.0.0.1',
        sourcePort: 40_000,
        sentTo: '10.96.0.10',
        sentToPort: 53,
        destination: '10.0.0.2',
        destinationPort: 5353,
      },
    },
    {
      what: 'a masqueraded flow with counters',
      line: 'udp      17 29 src=10.0.0.1 dst=192.0.2.1 sport=40000 dport=53 packets=1 bytes=60 src=192.0.2.1 dst=192.0.2.9 sport=53 dport=1024 packets=1 bytes=60 [ASSURED] mark=0 secctx=x use=1',
      flow: {
        source: '10.0.0.1',
        sourcePort: 40_000,
        sentTo: '192.0.2.1',
        sentToPort: 53,
        destination: '192.0.2.1',
        destinationPort: 53,
      },
    },
  ])('$what', ({ line, flow }) => {
    expect(parseConntrack(`${line}\n`, 'ipv4')).toEqual([{ family: 'ipv4', ...flow }]);
  });

  test('IPv6', () => {
    const line =
      'udp      17 29 src=fd00::1 dst=fd00::2 sport=40000 dport=53 [UNREPLIED] src=fd00::2 dst=fd00::1 sport=53 dport=40000 mark=0 use=1';
    expect(parseConntrack(line, 'ipv6')).toEqual([
      {
        family: 'ipv6',
        source: 'fd00::1',
        sourcePort: 40_000,
        sentTo: 'fd00::2',
        sentToPort: 53,
        destination: 'fd00::2',
        destinationPort: 53,
      },
    ]);
  });

  test.for([
    '',
    'conntrack v1.4.7 (conntrack-tools): 0 flow entries have been shown.',
    'udp      17 29 src=10.0.0.1 dst=10.0.0.2 sport=40000 dport=53',
    'icmp     1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=1 src=10.0.0.2 dst=10.0.0.1 type=0 code=0 id=1 mark=0 use=1',
  ])('"%s" is no UDP flow', (line) => {
    expect(parseConntrack(line, 'ipv4')).toEqual([]);
  });
});

describe('conntrack is run', () => {
  let fake: FakeNetfilter;
  beforeEach(async () => {
    fake = await FakeNetfilter.start();
  });
  afterEach(() => fake.stop());
  const commands = () => fake.runs.map(({ program, args }) => [program, ...args].join(' '));

  test('to delete the flows that an address began; none is no failure', async () => {
    await deleteFlowsFrom('10.0.0.1', 'ipv4');
    fake.failNext(() => ({ exitCode: 0, stdout: 'udp ...\n', stderr: '2 flow entries have been deleted.\n' }));
    await deleteFlowsFrom('fd00::1', 'ipv6');
    expect(commands()).toEqual(['conntrack -D -f ipv4 -s 10.0.0.1', 'conntrack -D -f ipv6 -s fd00::1']);
  });

  const flow = (
    source: string,
    sourcePort: number,
    { sentTo = '10.96.0.10', destination = '10.0.0.2' } = {},
  ): TrackedFlow => ({
    family: 'ipv4',
    source,
    sourcePort,
    sentTo,
    sentToPort: 53,
    destination,
    destinationPort: 5353,
  });

  test('to delete flows by the direction in which they began, a client’s many to one server by one run', async () => {
    const gone = [
      flow('10.0.0.1', 1),
      flow('10.0.0.1', 2),
      flow('10.0.0.1', 3, { sentTo: '10.0.0.2' }),
      flow('10.0.0.9', 1),
    ];
    await deleteUdpFlows(gone, [flow('10.0.0.8', 1)]);
    expect(commands()).toEqual([
      'conntrack -D -f ipv4 -p udp -s 10.0.0.1 -d 10.96.0.10 --dport 53',
      'conntrack -D -f ipv4 -p udp -s 10.0.0.1 -d 10.0.0.2 --dport 53',
      'conntrack -D -f ipv4 -p udp -s 10.0.0.9 -d 10.96.0.10 --dport 53',
    ]);
  });

  test('to delete flows one by one where another of the same client to the same server stays', async () => {
    await deleteUdpFlows(
      [flow('10.0.0.1', 1), flow('10.0.0.1', 2)],
      [flow('10.0.0.1', 3, { destination: '10.0.0.3' })],
    );
    expect(commands()).toEqual([
      'conntrack -D -f ipv4 -p udp -s 10.0.0.1 -d 10.96.0.10 --dport 53 --sport 1',
      'conntrack -D -f ipv4 -p udp -s 10.0.0.1 -d 10.96.0.10 --dport 53 --sport 2',
    ]);
  });

  test('for no flow not at all', async () => {
    await deleteUdpFlows([], [flow('10.0.0.1', 1)]);
    expect(commands()).toEqual([]);
  });

  test('to list', async () => {
    fake.flows.ipv4 =
      'udp 17 29 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1 mark=0 use=1\n';
    expect(await listUdpFlows('ipv4')).toHaveLength(1);
    expect(commands()).toEqual(['conntrack -L -f ipv4 -p udp']);
  });

  test('and a failure is told', async () => {
    fake.failNext(() => ({
      exitCode: 1,
      stderr: 'conntrack v1.4.7 (conntrack-tools): Operation failed: 10 flow entries are not to be had\n',
    }));
    await expect(deleteFlowsFrom('10.0.0.1', 'ipv4')).rejects.toThrow(
      'exit code 1, conntrack v1.4.7 (conntrack-tools): Operation failed',
    );
  });
});
