import { InvalidArgumentError } from 'commander';
import type { ContainerPort } from '../kube/pod.ts';
import { isPortNumber } from '../net/port.ts';
import { PROTOCOLS } from '../net/protocol.ts';

/** Returns the port that a text such as `6379/TCP` or `80`, which is TCP, names. Throws commander's InvalidArgumentError. */
export function parsePort(text: string): ContainerPort {
  const [, number, word = 'TCP'] = /^([0-9]{1,5})(?:\/([A-Za-z]{3,4}))?$/.exec(text) ?? [];
  const protocol = PROTOCOLS.find((known) => known === word.toUpperCase());
  const port = Number(number);
  if (protocol === undefined || !isPortNumber(port))
    throw new InvalidArgumentError('expected a port and a protocol, e.g. 6379/TCP, 53/UDP or 7777/SCTP');
  return { port, protocol };
}

/** Returns the ports of a list such as `80/TCP,81/UDP`. Throws commander's InvalidArgumentError. */
export function parsePorts(text: string): readonly ContainerPort[] {
  return text.split(',').map((part) => parsePort(part.trim()));
}
