import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeConfig } from '../../src/cni/config.ts';
import { manifestObjects } from '../cniConf/manifests.ts';

interface Conflist {
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly {
    readonly type: string;
    readonly isDefaultGateway?: boolean;
    readonly ipam?: { readonly routes?: readonly { readonly dst: string }[] };
  }[];
}

const conflists = readdirSync('cni-conf').filter((name) => name.endsWith('.conflist'));

describe('the conflists in cni-conf', () => {
  test('there is one for each kind of network', () => {
    expect(conflists).toEqual(['10-bridge.conflist', '10-flannel.conflist', '10-k3s.conflist', '10-ptp.conflist']);
  });

  test.each(conflists)('%s ends with an entry that the plugin takes', (file) => {
    const { name, cniVersion, plugins } = read(file);
    const own = plugins.at(-1);
    expect(own?.type).toBe('kube-nwplcy');
    expect(decodeConfig({ ...own, name, cniVersion }).problems).toEqual([]);
  });

  test.each(conflists)('%s gives a pod one default route', (file) => {
    // The bridge plugin adds its own beside that of the address management, and then fails.
    for (const { isDefaultGateway, ipam } of read(file).plugins)
      expect(isDefaultGateway === true && ipam?.routes?.some(({ dst }) => dst === '0.0.0.0/0')).not.toBe(true);
  });

  test('the reference shows the one for flannel', () => {
    const [, shown = ''] = /```json\n(.*?)```/s.exec(readFileSync('docs/reference.md', 'utf8')) ?? [];
    expect(JSON.parse(shown)).toEqual(read('10-flannel.conflist'));
  });

  test('flannel is given the one for flannel', () => {
    const [configMap] = manifestObjects('flannel/conflist.yaml');
    expect(configMap).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace: 'kube-flannel', name: 'kube-flannel-cfg' },
      data: { 'cni-conf.json': readFileSync('cni-conf/10-flannel.conflist', 'utf8') },
    });
  });
});

function read(file: string): Conflist {
  return JSON.parse(readFileSync(`cni-conf/${file}`, 'utf8')) as Conflist;
}
