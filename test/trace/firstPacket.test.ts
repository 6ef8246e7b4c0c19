import { expect, test } from 'vitest';
import { firstPacket, type FirstPacket, type NodePaths, type PacketEnd } from '../../src/trace/firstPacket.ts';
import { hooked } from '../helpers/attachments.ts';

const PATHS: NodePaths = {
  bridgeOf: (name) => ({ 'veth-web': 'cni0', 'veth-db': 'cni0', 'veth-far': 'cni1' })[name],
  routeTo: (address) => (address.startsWith('192.168.') ? 'local' : { interface: 'eth0' }),
};
const end = (name: string, { address = '10.0.0.1', bridged = true } = {}): PacketEnd => ({
  address,
  hooks: hooked(`shop/${name}`, { addresses: [address], bridged }),
});
const OUTSIDE: PacketEnd = { address: '172.17.0.9', hooks: undefined };
const ask = (from: PacketEnd, to: PacketEnd): FirstPacket =>
  firstPacket({ from, to, protocol: 'UDP', port: 53 }, PATHS);

test.for([
  {
    what: 'between ports of one bridge',
    first: ask(end('web'), end('db', { address: '10.0.0.2' })),
    judges: 'both',
    packet: { bridged: true, inInterface: 'cni0', physdevIn: 'veth-web', physdevOut: 'veth-db', outInterface: 'cni0' },
  },
  {
    what: 'between two bridges',
    first: ask(end('web'), end('far', { address: '10.0.0.2' })),
    judges: 'both',
    packet: { bridged: false, inInterface: 'cni0', physdevIn: 'veth-web', outInterface: 'cni1' },
  },
  {
    what: 'routed between interfaces of their own',
    first: ask(end('web', { bridged: false }), end('db', { address: '10.0.0.2', bridged: false })),
    judges: 'both',
    packet: { bridged: false, inInterface: 'veth-web', physdevIn: undefined, outInterface: 'veth-db' },
  },
  {
    what: 'to somewhere else',
    first: ask(end('web'), OUTSIDE),
    judges: 'egress',
    packet: { bridged: false, inInterface: 'cni0', physdevIn: 'veth-web', outInterface: 'eth0' },
  },
  {
    what: 'from somewhere else, by IPv6',
    first: ask({ address: 'fd01::9', hooks: undefined }, end('web', { address: 'fd00::1' })),
    judges: 'ingress',
    packet: { family: 'ipv6', source: 'fd01::9', bridged: false, inInterface: 'eth0', physdevIn: undefined },
  },
])('$what', ({ first, judges, packet }) => {
  expect(first).toMatchObject({
    kind: 'forwarded',
    judges,
    packet: { ctstate: 'NEW', protocol: 'udp', destinationPort: 53, ...packet },
  });
});

test.for([
  { because: 'elsewhere', first: ask(OUTSIDE, OUTSIDE) },
  { because: 'itself', first: ask(end('web'), end('web')) },
  { because: 'ownNode', first: ask(end('web'), { address: '192.168.0.1', hooks: undefined }) },
  { because: 'ownNode', first: ask({ address: '192.168.0.1', hooks: undefined }, end('web')) },
  { because: 'noAddress', first: ask(end('web'), { address: undefined, hooks: undefined }) },
  { because: 'noAddress', first: ask(end('web'), { address: 'fd00::1', hooks: undefined }) },
])('is not forwarded: $because', ({ because, first }) => {
  expect(first).toEqual({ kind: 'notForwarded', because });
});
