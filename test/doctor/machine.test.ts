import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AnyChain } from '../../src/dataplane/allChains.ts';
import { checkForward } from '../../src/doctor/forward.ts';
import { checkKubeProxy } from '../../src/doctor/kubeProxy.ts';
import { checkLeftovers } from '../../src/doctor/leftovers.ts';
import { checkModules } from '../../src/doctor/modules.ts';
import { checkConntrack } from '../../src/doctor/sysctls.ts';
import type { Check, ExaminedNode } from '../../src/doctor/examined.ts';
import { TemporaryDirectory } from '../helpers/temporaryDirectory.ts';

// What belongs to the machine and not to a network namespace: a directory is put in its place.

let machine: TemporaryDirectory;
beforeEach(() => void (machine = new TemporaryDirectory()));
afterEach(() => machine[Symbol.dispose]());

function write(path: string, text: string): void {
  mkdirSync(dirname(machine.file(path)), { recursive: true });
  writeFileSync(machine.file(path), text);
}

async function look(check: Check, facts: Partial<ExaminedNode> = {}): Promise<readonly (readonly string[])[]> {
  const node: ExaminedNode = {
    env: { PATH: '/nowhere' },
    binDir: '/nowhere',
    confDir: '/nowhere',
    runtimeDir: '/nowhere',
    version: '0',
    root: machine.path,
    isRoot: true,
    network: new Error('none'),
    backend: 'nftables',
    chains: { chains: [], unseen: [] },
    ...facts,
  };
  return (await check(node)).map(({ level, what }) => [level, what]);
}

describe('kernel modules', () => {
  const lists = ({ loadable, builtin }: { readonly loadable: string; readonly builtin: string }) => {
    write('proc/sys/kernel/osrelease', '6.1.0\n');
    write('lib/modules/6.1.0/modules.dep', loadable);
    write('lib/modules/6.1.0/modules.builtin', builtin);
  };
  const all = [
    'nf_tables',
    'nf_conntrack',
    'nft_ct',
    'nft_fib',
    'nft_reject',
    'nf_tables_bridge',
    'nft_compat',
    'ip_set',
    'ip_set_hash_ip',
    'ip_set_hash_ipport',
    'ip_set_hash_net',
    'xt_set',
    'xt_conntrack',
    'xt_connmark',
    'xt_physdev',
    'xt_addrtype',
    'xt_comment',
    'xt_multiport',
    'ipt_REJECT',
  ];
  const dep = (names: readonly string[]) =>
    names.map((name) => `kernel/net/${name}.ko.zst: kernel/x.ko.zst\n`).join('');

  test('that can be loaded, or are built in, are there', async () => {
    lists({
      loadable: dep(all.slice(3)),
      builtin: all
        .slice(0, 3)
        .map((name) => `kernel/net/${name}.ko\n`)
        .join(''),
    });
    for (const backend of ['nftables', 'iptables-nft'] as const)
      expect(await look(checkModules, { backend })).toEqual([['ok', `The kernel (6.1.0) has what ${backend} needs`]]);
  });

  test('that are in a package of their own are missed by name', async () => {
    lists({ loadable: dep(all.filter((name) => !['xt_physdev', 'xt_set'].includes(name))), builtin: '' });
    expect(await look(checkModules, { backend: 'iptables-nft' })).toEqual([
      ['problem', 'The kernel (6.1.0) has no xt_set, xt_physdev, which iptables-nft needs'],
    ]);
  });

  test('are found in the kernel where nothing lists them, and else nothing is claimed', async () => {
    write('proc/sys/kernel/osrelease', '6.1.0\n');
    for (const name of all.filter((module) => !/^(?:xt|ipt)_/.test(module))) write(`sys/module/${name}/x`, '');
    const [before] = await look(checkModules, { backend: 'iptables-nft' });
    expect(before).toEqual(['unknown', expect.stringContaining('has xt_set, xt_conntrack')]);
    write('proc/net/ip_tables_matches', 'set\nconntrack\nconnmark\nphysdev\naddrtype\ncomment\nmultiport\n');
    write('proc/net/ip_tables_targets', 'REJECT\n');
    expect(await look(checkModules, { backend: 'iptables-nft' })).toEqual([['ok', expect.any(String)]]);
  });
});

describe('kube-proxy in IPVS mode', () => {
  beforeEach(() => write('proc/net/dev', 'Inter-|\n face |\n    lo: 1 2\nkube-ipvs0: 0 0\n'));

  test.for([
    { value: '1\n', level: 'ok' },
    { value: '0\n', level: 'problem' },
  ])('is looked at for net.ipv4.vs.conntrack=$value', async ({ value, level }) => {
    write('proc/sys/net/ipv4/vs/conntrack', value);
    expect(await look(checkKubeProxy)).toEqual([[level, expect.stringContaining('Its mode is IPVS')]]);
  });
});

test.for([
  { chain: { table: 'ip kube-proxy', name: 'services' }, what: 'Its mode is nftables' },
  { chain: { table: 'ip nat', name: 'KUBE-SERVICES' }, what: 'Its mode is iptables' },
])('kube-proxy is told by what it has written: $what', async ({ chain, what }) => {
  expect(await look(checkKubeProxy, { chains: { chains: [chainOf(chain)], unseen: [] } })).toEqual([['ok', what]]);
});

test.for([
  { count: '950', levels: ['warning'] },
  { count: '10', levels: ['ok'] },
])('of 1000 connections $count are tracked', async ({ count, levels }) => {
  write('proc/sys/net/netfilter/nf_conntrack_count', `${count}\n`);
  write('proc/sys/net/netfilter/nf_conntrack_max', '1000\n');
  expect((await look(checkConntrack)).map(([level]) => level)).toEqual(levels);
});

describe('chains', () => {
  test('our own entry is not taken for another engine’s, though it begins like one', async () => {
    const chains = [chainOf({ table: 'ip filter', name: 'KUBE-NWPLCY-CHAIN' })];
    expect(await look(checkLeftovers, { backend: 'iptables-nft', chains: { chains, unseen: [] } })).toEqual([
      ['ok', 'No chain of another engine is here'],
    ]);
  });

  test('ours in a world that is not the agent’s are told', async () => {
    const chains = [
      chainOf({ table: 'legacy ip filter', name: 'KUBE-NWPLCY-CHAIN' }),
      chainOf({ table: 'inet kube-nwplcy', name: 'forward' }),
    ];
    const told = await look(checkLeftovers, { backend: 'iptables-nft', chains: { chains, unseen: [] } });
    expect(told.filter(([level]) => level === 'warning').map(([, what]) => what)).toEqual([
      'There are rules of kube-nwplcy itself in nftables too, beside iptables-nft',
      'There are rules of kube-nwplcy itself in iptables-legacy too, beside iptables-nft',
    ]);
  });

  test('whose names would move a cursor are told without', async () => {
    const chains = [chainOf({ table: 'ip filter', name: 'cali-\u001b[2J' })];
    const [[, what = ''] = []] = await look(checkLeftovers, { chains: { chains, unseen: [] } });
    expect(what).toContain('cali-\\u{1b}[2J');
  });

  test('that nobody could see are not called good', async () => {
    const chains = { chains: [], unseen: ['nft: Operation not permitted'] };
    expect([await look(checkLeftovers, { chains }), await look(checkForward, { chains })]).toEqual([[], []]);
  });
});

function chainOf({ table, name }: Pick<AnyChain, 'table' | 'name'>): AnyChain {
  return { table, name, hook: undefined, policy: undefined };
}
