import type { ContainerPort } from './pod.ts';

/** Returns a port as people and the command line write it: `6379/TCP`. */
export function portText({ port, protocol }: ContainerPort): string {
  return `${port}/${protocol}`;
}
