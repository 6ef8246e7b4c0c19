import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentAccess, PodObjects } from './podObjects.ts';
import { monotonicMs } from './probe/clock.ts';

/** A Kubernetes object as one writes it in a manifest. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [key: string]: unknown };
  readonly [key: string]: unknown;
}

/** A Pod; a directory takes its uid as it is. */
export interface PodManifest extends Manifest {
  readonly metadata: Manifest['metadata'] & { readonly namespace: string; readonly uid: string };
}

/** The directory that all agents of a lab watch, as they would watch one API server. */
export class Manifests implements PodObjects {
  readonly directory: string;
  readonly #aside: string;

  constructor(labDirectory: string) {
    this.directory = join(labDirectory, 'manifests');
    this.#aside = join(labDirectory, 'aside');
    mkdirSync(this.directory);
    mkdirSync(this.#aside);
  }

  /** Puts a file in place in one step and returns when that was (`monotonicMs`). */
  write(file: string, text: string): number {
    const aside = join(this.#aside, file);
    writeFileSync(aside, text);
    const at = monotonicMs();
    renameSync(aside, join(this.directory, file));
    return at;
  }

  /** Removes a file and returns when that was. */
  remove(file: string): number {
    const at = monotonicMs();
    rmSync(join(this.directory, file), { force: true });
    return at;
  }

  /** Puts one object in place, in a file of its own. */
  apply(object: Manifest): number {
    return this.write(fileOf(object), JSON.stringify(object, undefined, 2));
  }

  delete(object: Pick<Manifest, 'kind' | 'metadata'>): number {
    return this.remove(fileOf(object));
  }

  agentAccess(): AgentAccess {
    return { flags: ['--source', `dir:${this.directory}`] };
  }

  async createPod(pod: PodManifest): Promise<string> {
    this.apply(pod);
    return Promise.resolve(pod.metadata.uid);
  }

  async publishPod(pod: PodManifest): Promise<void> {
    this.apply(pod);
    return Promise.resolve();
  }

  async deletePod(pod: PodManifest): Promise<void> {
    this.delete(pod);
    return Promise.resolve();
  }
}

function fileOf({ kind, metadata }: Pick<Manifest, 'kind' | 'metadata'>): string {
  return `${[kind.toLowerCase(), metadata.namespace, metadata.name].filter((part) => part !== undefined).join('.')}.json`;
}
