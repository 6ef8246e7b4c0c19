import { PROTOCOLS } from '../../src/net/protocol.ts';
import type { Endpoint, Flow } from '../../src/policy/flow.ts';

/**
 * Returns the flow that a line such as `shop/web > 10.0.0.1 TCP/80` tells. An end is a pod `namespace/name` or `namespace/name@address`,
 * an address, or a node's own address `node:NAME@address`. Throws an `Error` for any other text.
 */
export function flowOf(text: string): Flow {
  const [, from, to, word, port] = /^(\S+) > (\S+) ([A-Z]+)\/(\d+)$/.exec(text) ?? [];
  const protocol = PROTOCOLS.find((candidate) => candidate === word);
  if (from === undefined || to === undefined || protocol === undefined)
    throw new Error(`Cannot read the flow "${text}"`);
  return { from: endpointOf(from), to: endpointOf(to), protocol, port: Number(port) };
}

/** Returns the line that `flowOf` reads as this flow. */
export function flowText({ from, to, protocol, port }: Flow): string {
  return `${endpointText(from)} > ${endpointText(to)} ${protocol}/${port}`;
}

function endpointOf(text: string): Endpoint {
  const [, nodeName, ofNode] = /^node:([^@]+)@(.+)$/.exec(text) ?? [];
  if (nodeName !== undefined && ofNode !== undefined) return { kind: 'node', nodeName, address: ofNode };
  const [, namespace, name, address] = /^([^/]+)\/([^/@]+)(?:@(.+))?$/.exec(text) ?? [];
  if (namespace === undefined || name === undefined) return { kind: 'address', address: text };
  return { kind: 'pod', namespace, name, ...(address !== undefined && { address }) };
}

function endpointText(endpoint: Endpoint): string {
  switch (endpoint.kind) {
    case 'address':
      return endpoint.address;
    case 'node':
      return `node:${endpoint.nodeName}@${endpoint.address}`;
    case 'pod':
      return `${endpoint.namespace}/${endpoint.name}${endpoint.address === undefined ? '' : `@${endpoint.address}`}`;
  }
}
