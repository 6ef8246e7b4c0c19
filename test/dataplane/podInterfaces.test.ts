import { expect, test } from 'vitest';
import { interfaceAt, type Station, type Tables } from '../../src/dataplane/podInterfaces.ts';

const ADDRESS = '10.0.0.5';
const station = (port: string, linkAddress: string, bridge = 'cni0'): Station => ({ bridge, port, linkAddress });

/** A node with one veth on a bridge, one routed, and the uplink as the bridge's third port. */
function tables(facts: Partial<Tables> = {}): Tables {
  return {
    veths: new Map([
      ['veth1', 'cni0'],
      ['veth2', undefined],
    ]),
    neighbours: new Map([[ADDRESS, { device: 'cni0', linkAddress: 'aa' }]]),
    stations: [station('veth1', 'aa'), station('eth0', 'ee')],
    ...facts,
  };
}

const at = (facts?: Partial<Tables>, route?: string) => interfaceAt({ address: ADDRESS, route }, tables(facts));

test('a bridged pod is behind the port where its link address was seen', () => {
  expect(at()).toEqual({ hostInterface: 'veth1', bridged: true });
});

test('a routed pod is behind the veth that the route to it leads to', () => {
  expect(at({ neighbours: new Map() }, 'veth2')).toEqual({ hostInterface: 'veth2', bridged: false });
});

// What is taken for a pod's interface drops everybody else's packets: the uplink's must never be.
test.for<{ what: string; facts: Partial<Tables>; route?: string }>([
  { what: 'an address that does not resolve', facts: { neighbours: new Map() } },
  { what: 'a link address that no bridge has seen', facts: { stations: [] } },
  {
    what: 'a link address seen by another bridge than the one it resolves on',
    facts: { stations: [station('veth1', 'aa', 'br1')] },
  },
  { what: 'a port that is no veth', facts: { stations: [station('eth0', 'aa')] } },
  {
    what: 'a port with more than one link address behind it',
    facts: { stations: [station('veth1', 'aa'), station('veth1', 'bb')] },
  },
  { what: 'a route to what is no veth', facts: { neighbours: new Map() }, route: 'eth0' },
  { what: "a route to a bridge's port", facts: { neighbours: new Map() }, route: 'veth1' },
])('$what tells nothing', ({ facts, route }) => {
  expect(at(facts, route)).toBeUndefined();
});
