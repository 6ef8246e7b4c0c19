import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeConfig } from '../../src/cni/config.ts';

interface Conflist {
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly { readonly type: string }[];
}

const conflists = readdirSync('cni-conf').filter((name) => name.endsWith('.conflist'));

describe('the conflists in cni-conf', () => {
  test('there is one for each kind of network', () => {
    expect(conflists).toEqual(['10-bridge.conflist', '10-flannel.conflist', '10-ptp.conflist']);
  });

  test.each(conflists)('%s ends with an entry that the plugin takes', (file) => {
    const { name, cniVersion, plugins } = read(file);
    const own = plugins.at(-1);
    expect(own?.type).toBe('kube-nwplcy');
    expect(decodeConfig({ ...own, name, cniVersion }).problems).toEqual([]);
  });

  test('the README shows the one for flannel', () => {
    const [, shown = ''] = /```json\n(.*?)```/s.exec(readFileSync('README.md', 'utf8')) ?? [];
    expect(JSON.parse(shown)).toEqual(read('10-flannel.conflist'));
  });
});

function read(file: string): Conflist {
  return JSON.parse(readFileSync(`cni-conf/${file}`, 'utf8')) as Conflist;
}
