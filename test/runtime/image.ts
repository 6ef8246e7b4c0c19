import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { debianProgram } from '../cluster/programs.ts';

/** The one image of the tests, for pods' own processes and for containers. */
export const IMAGE = 'kube-nwplcy.test/busybox:1';

const APPLETS = ['sh', 'cat', 'nc', 'sleep'];

/**
 * A container's command that answers as a lab's probes do, under the name in its environment variable NAME, at TCP port 80 of all addresses from
 * its first moment on.
 */
export const LISTEN: readonly string[] = ['/bin/nc', '-ll', '-p', '80', '-e', '/bin/answer'];

const ANSWER = '#!/bin/sh\nread word nonce\necho "$nonce $NAME"\n';

/**
 * Writes the image, as `docker save` would, into a directory and returns the archive's path. `variables` are in the environment of all that is run
 * from it: so the lab finds the processes that the runtime starts.
 */
export async function writeImage(directory: string, variables: Readonly<Record<string, string>>): Promise<string> {
  const work = mkdtempSync(join(directory, 'image-'));
  const layer = join(work, 'layer.tar');
  await execa('tar', ['-cf', layer, '-C', writeRoot(work), '.']);
  const digest = createHash('sha256').update(readFileSync(layer)).digest('hex');
  const config = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: {
      Env: Object.entries({ ...variables, PATH: '/bin' }).map(([name, value]) => `${name}=${value}`),
      Entrypoint: ['/bin/sleep', '1000d'],
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
  };
  const manifest = [{ Config: 'config.json', RepoTags: [IMAGE], Layers: ['layer.tar'] }];
  writeFileSync(join(work, 'config.json'), JSON.stringify(config));
  writeFileSync(join(work, 'manifest.json'), JSON.stringify(manifest));
  const archive = join(directory, 'image.tar');
  await execa('tar', ['-cf', archive, '-C', work, 'manifest.json', 'config.json', 'layer.tar']);
  return archive;
}

function writeRoot(directory: string): string {
  const root = join(directory, 'root');
  for (const path of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp']) mkdirSync(join(root, path), { recursive: true });
  copyFileSync(debianProgram('busybox-static', '/bin/busybox'), join(root, 'bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', join(root, 'bin', applet));
  writeFileSync(join(root, 'bin/answer'), ANSWER, { mode: 0o755 });
  return root;
}
