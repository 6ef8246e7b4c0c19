import { resolve } from 'node:path';
import { execa } from 'execa';

/** Packs the executable if the sources have changed, so that no test of it speaks of an older one. */
export async function setup(): Promise<void> {
  await execa('make', ['build'], { cwd: resolve(import.meta.dirname, '..'), stdout: 'ignore' });
}
