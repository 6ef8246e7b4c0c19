import { chmodSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { conflistArbitrary } from '../helpers/conflistArbitrary.ts';
import { conflistText } from './conflists.ts';
import { InstalledNode } from './installedNode.ts';

const FLANNEL = { '10-flannel.conflist': conflistText('flannel.conflist') };

describe('a first installation', () => {
  test('copies the executable and adds the entry; a second one finds nothing to do', () => {
    using node = new InstalledNode(FLANNEL);
    expect(node.install({ dryRun: true })).toEqual([
      '~/bin/kube-nwplcy: would copy the executable',
      '~/net.d/10-flannel.conflist: would add kube-nwplcy after portmap',
    ]);
    expect(node.files).toEqual(FLANNEL);
    expect(node.install()).toEqual([
      '~/bin/kube-nwplcy: copied the executable',
      '~/net.d/10-flannel.conflist: added kube-nwplcy after portmap',
    ]);
    expect([readFileSync(node.target, 'utf8'), statSync(node.target).mode & 0o7777]).toEqual([
      'this is the program',
      0o755,
    ]);
    const [{ files, inodes }, inode] = [node, statSync(node.target).ino];
    expect(node.install()).toEqual(['~/bin/kube-nwplcy: unchanged', '~/net.d/10-flannel.conflist: unchanged']);
    expect([node.files, node.inodes, statSync(node.target).ino]).toEqual([files, inodes, inode]);
  });

  test('takes the first file only', () => {
    using node = new InstalledNode({
      '20-later.conflist': conflistText('oneline.conflist'),
      '10-now.conflist': conflistText('kindnet.conflist'),
    });
    node.install();
    expect(Object.entries(node.files).map(([name, text]) => [name, text.includes('kube-nwplcy')])).toEqual([
      ['10-now.conflist', true],
      ['20-later.conflist', false],
    ]);
  });

  test('is undone by cleaning up, whatever the conflist', () => {
    fc.assert(
      fc.property(conflistArbitrary, (text) => {
        using node = new InstalledNode({ '10-a.conflist': text, 'unrelated.txt': 'kube-nwplcy' });
        node.install();
        expect(node.cleanUp()).toEqual(['~/net.d/10-a.conflist: removed kube-nwplcy']);
        expect(node.files).toEqual({ '10-a.conflist': text, 'unrelated.txt': 'kube-nwplcy' });
        expect(node.cleanUp()).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });
});

describe('the executable', () => {
  test('another version is replaced, in one step, never with set-uid', () => {
    using node = new InstalledNode(FLANNEL);
    node.install();
    writeFileSync(node.source, 'this is the PROGRAM');
    expect(node.install()[0]).toBe('~/bin/kube-nwplcy: replaced the executable');
    chmodSync(node.target, 0o4755);
    expect(node.install()[0]).toBe('~/bin/kube-nwplcy: replaced the executable');
    expect([readFileSync(node.target, 'utf8'), statSync(node.target).mode & 0o7777]).toEqual([
      'this is the PROGRAM',
      0o755,
    ]);
  });

  test('a link in its place is replaced, and what it leads to is not', () => {
    using node = new InstalledNode(FLANNEL);
    node.install();
    rmSync(node.target);
    writeFileSync(node.file('other'), 'other');
    symlinkSync(node.file('other'), node.target);
    node.install();
    expect([readFileSync(node.target, 'utf8'), readFileSync(node.file('other'), 'utf8')]).toEqual([
      'this is the program',
      'other',
    ]);
  });

  test('without it the network stays as it is: each ADD would fail', () => {
    using node = new InstalledNode(FLANNEL);
    rmSync(node.source);
    expect(node.install()).toEqual([expect.stringMatching(/^Cannot install: ENOENT.*~\/source/)]);
    expect(node.files).toEqual(FLANNEL);
  });
});

describe('a bridge', () => {
  test('has its packets pass FORWARD', () => {
    using node = new InstalledNode(FLANNEL);
    node.setSysctls('0');
    expect(node.install({ dryRun: true }).slice(1, 3)).toEqual([
      'net.bridge.bridge-nf-call-iptables: would set to 1',
      'net.bridge.bridge-nf-call-ip6tables: would set to 1',
    ]);
    expect(node.sysctls).toEqual(['0', '0']);
    expect(node.install().slice(1)).toEqual([
      'net.bridge.bridge-nf-call-iptables: set to 1',
      'net.bridge.bridge-nf-call-ip6tables: set to 1',
      '~/net.d/10-flannel.conflist: added kube-nwplcy after portmap',
      'Note: net.bridge.bridge-nf-call-iptables and net.bridge.bridge-nf-call-ip6tables last until the next boot: put them into /etc/sysctl.d and br_netfilter into /etc/modules-load.d, or let "install" run at each boot',
    ]);
    expect(node.sysctls).toEqual(['1', '1']);
  });

  test('without the kernel module the network stays as it is, and the command to run is told', () => {
    using node = new InstalledNode(FLANNEL);
    rmSync(node.file('proc'), { recursive: true });
    expect(node.install({ env: { PATH: node.path } }).slice(1)).toEqual([
      'Cannot load br_netfilter: "modprobe" is not installed; run "modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1" on the node',
    ]);
    expect(node.files).toEqual(FLANNEL);
  });

  test('is not asked of a network without one', () => {
    using node = new InstalledNode({ '10-ptp.conflist': conflistText('kindnet.conflist') });
    node.setSysctls('0');
    node.install();
    expect(node.sysctls).toEqual(['0', '0']);
  });
});

describe('a single plugin in a .conf', () => {
  const CONF = conflistText('bridge.conf');
  const BRIDGE = { '10-bridge.conf': CONF, '20-other.conflist': conflistText('kindnet.conflist') };

  test('becomes a conflist, and comes back by cleaning up', () => {
    using node = new InstalledNode(BRIDGE);
    const { inodes } = node;
    expect(node.install().slice(1)).toEqual([
      '~/net.d/10-bridge.conflist: converted from 10-bridge.conf',
      '~/net.d/10-bridge.conf: saved as 10-bridge.conf.kube-nwplcy-saved',
      '~/net.d/10-bridge.conflist: added kube-nwplcy after bridge',
    ]);
    expect(Object.keys(node.files)).toEqual([
      '10-bridge.conf.kube-nwplcy-saved',
      '10-bridge.conflist',
      '20-other.conflist',
    ]);
    expect(node.install().slice(1)).toEqual(['~/net.d/10-bridge.conflist: unchanged']);
    expect(node.cleanUp({ dryRun: true })).toEqual([
      '~/net.d/10-bridge.conf: would restore from 10-bridge.conf.kube-nwplcy-saved',
      '~/net.d/10-bridge.conflist: would remove since 10-bridge.conf is there again',
    ]);
    expect(node.cleanUp()).toEqual([
      '~/net.d/10-bridge.conf: restored from 10-bridge.conf.kube-nwplcy-saved',
      '~/net.d/10-bridge.conflist: removed since 10-bridge.conf is there again',
    ]);
    expect([node.files, node.inodes]).toEqual([BRIDGE, inodes]);
  });

  test('written again by its owner is converted again, with the entry as it was', () => {
    using node = new InstalledNode(BRIDGE);
    node.install({ keys: { logLevel: 'debug' } });
    node.write('10-bridge.conf', CONF.replace('10.200.1.0', '10.200.2.0'));
    node.install();
    const list = node.files['10-bridge.conflist'] ?? '';
    expect([list.includes('10.200.2.0'), list.includes('"logLevel": "debug"')]).toEqual([true, true]);
    node.cleanUp();
    expect(node.files).toEqual({ ...BRIDGE, '10-bridge.conf': CONF.replace('10.200.1.0', '10.200.2.0') });
  });

  test('written again and then cleaned up stays as it was written', () => {
    using node = new InstalledNode(BRIDGE);
    node.install();
    node.write('10-bridge.conf', `${CONF}\n`);
    node.cleanUp();
    expect(node.files).toEqual({ ...BRIDGE, '10-bridge.conf': `${CONF}\n` });
  });

  test('whose conflist was edited since stays put aside', () => {
    using node = new InstalledNode(BRIDGE);
    node.install();
    node.write('10-bridge.conflist', (node.files['10-bridge.conflist'] ?? '').replace('10.200.1.0', '10.200.9.0'));
    expect(node.cleanUp()).toEqual([
      '~/net.d/10-bridge.conf.kube-nwplcy-saved: kept: 10-bridge.conflist was edited after it was made of this',
      '~/net.d/10-bridge.conflist: removed kube-nwplcy',
    ]);
  });

  test('is not converted over another conflist, nor where another file would then come first', () => {
    using node = new InstalledNode({ ...BRIDGE, '10-bridge.conflist': conflistText('flannel.conflist') });
    expect(node.install().slice(1)).toEqual([
      '~/net.d/10-bridge.conf: Cannot make a conflist of it: there is another "10-bridge.conflist"; remove the one that is not meant',
    ]);
    using crowded = new InstalledNode({ 'a.conf': CONF, 'a.confd.conf': CONF });
    expect(crowded.install().slice(1)).toEqual([
      '~/net.d/a.conf: Cannot make a conflist of it: "a.confd.conf" would then come first',
    ]);
  });

  test('must be one, with a name', () => {
    using list = new InstalledNode({ 'a.conf': conflistText('flannel.conflist') });
    expect(list.install().slice(1)).toEqual([
      '~/net.d/a.conf: Cannot use it: it is a list, and runtimes read one only by a name that ends with .conflist',
    ]);
    using nameless = new InstalledNode({ 'a.conf': '{"cniVersion":"1.0.0","type":"ptp"}' });
    expect(nameless.install().slice(1)).toEqual(['~/net.d/a.conf: Cannot use it: "name" is missing']);
  });
});

describe('networks of others', () => {
  test('one whose packets pass no FORWARD chain is refused, unless somebody insists', () => {
    using node = new InstalledNode({ '05-a.conflist': conflistText('cilium.conflist') });
    expect(node.install().slice(1)).toEqual([
      '~/net.d/05-a.conflist: Cannot protect its pods: what "cilium-cni" sends and receives passes no FORWARD chain of this node; "--force" adds kube-nwplcy all the same',
    ]);
    expect(node.install({ force: true }).slice(1)).toEqual([
      '~/net.d/05-a.conflist: added kube-nwplcy after cilium-cni',
    ]);
  });

  test.for(['calico.conflist', 'canal.conflist'])(
    '%s: somebody else enforces policies there too, which is told',
    (name) => {
      using node = new InstalledNode({ '10-a.conflist': conflistText(name) });
      expect(node.install().slice(2)).toEqual([
        'Note: ~/net.d/10-a.conflist: "calico" with "policy" enforces NetworkPolicy itself: what one of the two refuses is refused',
      ]);
      expect(node.files['10-a.conflist']).toContain('"type": "kube-nwplcy"');
    },
  );

  test('a file that leads to another network, or to none, is passed over', () => {
    using node = new InstalledNode({
      '00-multus.conf': conflistText('multus.conf'),
      '01-lo.conf': '{"cniVersion":"1.0.0","name":"lo","type":"loopback"}',
      ...FLANNEL,
    });
    expect(node.install().slice(1)).toEqual([
      '~/net.d/10-flannel.conflist: added kube-nwplcy after portmap',
      'Note: ~/net.d/00-multus.conf: passed over, "multus" runs the plugins of other networks: kube-nwplcy belongs into the one that every pod gets; this file has a copy of it without kube-nwplcy: have it written anew',
      'Note: ~/net.d/01-lo.conf: passed over, "loopback" gives pods no address',
    ]);
    expect(node.files['00-multus.conf']).toBe(conflistText('multus.conf'));
  });

  test('no network at all is told', () => {
    using node = new InstalledNode();
    expect(node.install().slice(1)).toEqual([
      'Cannot find the network in "~/net.d": it has no .conf, .conflist or .json file; install the cluster\'s network first, or wait for it with "--watch"',
    ]);
    node.write('01-lo.conf', '{"cniVersion":"1.0.0","name":"lo","type":"loopback"}');
    expect(node.install().slice(1)).toEqual([
      'Cannot find the network in "~/net.d": there is no other file; ~/net.d/01-lo.conf: passed over, "loopback" gives pods no address',
    ]);
  });
});

describe('hostile files', () => {
  test('a name moves no cursor', () => {
    using node = new InstalledNode({ '0\u001b[2Jx\n.conflist': '{' });
    expect(node.install()[1]).toMatch(/^~\/net\.d\/0\\u\{1b\}\[2Jx\\u\{a\}\.conflist: Cannot read it as JSON: /);
  });

  test('a link out of the directory is neither followed nor replaced', () => {
    using node = new InstalledNode();
    writeFileSync(node.file('outside'), conflistText('flannel.conflist'));
    symlinkSync(node.file('outside'), `${node.confDir}/10-a.conflist`);
    expect(node.install().slice(1)).toEqual([
      '~/net.d/10-a.conflist: Cannot edit it: it is a symbolic link; put a file in its place',
    ]);
    expect(node.cleanUp()).toEqual([]);
    expect(readFileSync(node.file('outside'), 'utf8')).toBe(conflistText('flannel.conflist'));
  });

  test('an entry that the plugin would refuse is told, and stays', () => {
    const text =
      '{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"ptp"},{"type":"kube-nwplcy","backend":"x","more":1}]}';
    using node = new InstalledNode({ '10-a.conflist': text });
    expect(node.install().slice(1)).toEqual([
      '~/net.d/10-a.conflist: Cannot use the entry of kube-nwplcy: "backend" must be one of "auto", "nftables", "iptables-nft", "iptables-legacy", not "x"; "more" is unknown',
    ]);
    expect(node.files).toEqual({ '10-a.conflist': text });
  });
});

describe('cleaning up', () => {
  test('takes the entry out of every conflist, goes past broken files, and removes what was cut short', () => {
    using node = new InstalledNode({
      '10-a.conflist': conflistText('flannel.conflist'),
      '20-b.conflist': conflistText('k3s.conflist'),
    });
    node.install();
    const first = node.files['10-a.conflist'] ?? '';
    node.write('15-c.conflist', first);
    node.write('16-d.conflist', 'broken');
    node.write('10-a.conflist.kube-nwplcy-aside-77', 'half');
    expect(node.cleanUp({ dryRun: true })).toEqual([
      '~/net.d/10-a.conflist: would remove kube-nwplcy',
      '~/net.d/15-c.conflist: would remove kube-nwplcy',
      '~/net.d/10-a.conflist.kube-nwplcy-aside-77: would remove what a run that was cut short had left',
    ]);
    expect(node.cleanUp()).toHaveLength(3);
    expect(node.files).toEqual({
      '10-a.conflist': conflistText('flannel.conflist'),
      '15-c.conflist': conflistText('flannel.conflist'),
      '16-d.conflist': 'broken',
      '20-b.conflist': conflistText('k3s.conflist'),
    });
  });

  test('a broken file with an entry of ours is told: the runtime may yet read it', () => {
    using node = new InstalledNode({ '10-a.conflist': '{"plugins":[{"type":"kube-nwplcy"' });
    expect(node.cleanUp()).toEqual([expect.stringMatching(/^~\/net\.d\/10-a\.conflist: Cannot read it as JSON: /)]);
  });
});
