import { mkdirSync, writeFileSync } from 'node:fs';
import { env } from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Backend } from '../../src/dataplane/backend.ts';
import type { Finding, Level } from '../../src/doctor/finding.ts';
import { conflistText } from '../install/conflists.ts';
import { startLab, type Lab } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';
import { output } from '../lab/run.ts';

// A node that is well, on which it finds nothing, and one made wrong on purpose for each thing that it looks for.

const DIRECTORIES = ['--cni-bin-dir', '/run/cni/bin', '--cni-conf-dir', '/run/cni/net.d'];
const CONFLIST = '/run/cni/net.d/10-flannel.conflist';
const BIN = '/run/cni/bin/kube-nwplcy';

interface Damage {
  readonly name: string;
  /** Shell commands on the node. */
  readonly damage: string;
  readonly mend: string;
  readonly level: Level;
  readonly check: string;
  readonly what: RegExp;
  /** The backends that this is about; all if not given. */
  readonly only?: readonly Backend[];
}

const IPTABLES: readonly Backend[] = ['iptables-nft'];

const DAMAGES: readonly Damage[] = [
  {
    name: 'the conflist without the entry',
    damage: `cp ${CONFLIST} /run/kept; sed -i '/"type": "kube-nwplcy"/s/kube-nwplcy/bandwidth/' ${CONFLIST}`,
    mend: `mv /run/kept ${CONFLIST}`,
    level: 'problem',
    check: 'conflist',
    what: /10-flannel\.conflist: kube-nwplcy is not in it, new pods run without policies/,
  },
  {
    name: 'a plugin after it that may do harm',
    damage: `cp ${CONFLIST} /run/kept; sed -i 's/"portmap"/"kube-nwplcy-too"/; s/"kube-nwplcy"/"whatever"/; s/"kube-nwplcy-too"/"kube-nwplcy"/' ${CONFLIST}`,
    mend: `mv /run/kept ${CONFLIST}`,
    level: 'problem',
    check: 'conflist',
    what: /not as it must be \("install" would have: moved kube-nwplcy after whatever\)/,
  },
  {
    name: 'another network that comes first',
    damage: `echo '{"cniVersion":"1.0.0","name":"other","plugins":[{"type":"ptp"}]}' >/run/cni/net.d/05-other.conflist`,
    mend: 'rm /run/cni/net.d/05-other.conflist',
    level: 'warning',
    check: 'conflist',
    what: /10-flannel\.conflist: kube-nwplcy is in it, but runtimes use the first file by name, 05-other\.conflist/,
  },
  {
    name: 'a network that cannot be read',
    damage: 'echo "{" >/run/cni/net.d/05-other.conflist',
    mend: 'rm /run/cni/net.d/05-other.conflist',
    level: 'problem',
    check: 'conflist',
    what: /05-other\.conflist: Cannot read it as JSON/,
  },
  {
    name: 'no executable',
    damage: `mv ${BIN} ${BIN}.away`,
    mend: `mv ${BIN}.away ${BIN}`,
    level: 'problem',
    check: 'executable',
    what: /there is no such file/,
  },
  {
    name: 'an executable that others can change',
    damage: `chmod 775 ${BIN}`,
    mend: `chmod 755 ${BIN}`,
    level: 'problem',
    check: 'executable',
    what: /others than root can change it/,
  },
  {
    name: 'an executable of another version',
    damage: `mv ${BIN} ${BIN}.away; printf '#!/bin/sh\\necho "kube-nwplcy 0.0.1"\\n' >${BIN}; chmod 755 ${BIN}`,
    mend: `mv ${BIN}.away ${BIN}`,
    level: 'warning',
    check: 'executable',
    what: /it is 0\.0\.1, and this is /,
  },
  {
    name: 'an executable that does not run',
    damage: `mv ${BIN} ${BIN}.away; echo '#!/nowhere' >${BIN}; chmod 755 ${BIN}`,
    mend: `mv ${BIN}.away ${BIN}`,
    level: 'problem',
    check: 'executable',
    what: /it does not run/,
  },
  {
    name: 'a runtime directory that others can write to',
    damage: 'chmod 777 /run/kube-nwplcy',
    mend: 'chmod 700 /run/kube-nwplcy',
    level: 'problem',
    check: 'runtimeDir',
    what: /others than root can write there/,
  },
  {
    name: 'br_netfilter off for IPv4',
    damage: 'echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables',
    mend: 'echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables',
    level: 'problem',
    check: 'bridge',
    what: /set net\.bridge\.bridge-nf-call-iptables=1/,
  },
  {
    name: 'br_netfilter off for IPv6',
    damage: 'echo 0 >/proc/sys/net/bridge/bridge-nf-call-ip6tables',
    mend: 'echo 1 >/proc/sys/net/bridge/bridge-nf-call-ip6tables',
    level: 'warning',
    check: 'bridge',
    what: /set net\.bridge\.bridge-nf-call-ip6tables=1/,
  },
  {
    name: 'a node that does not forward',
    damage: 'echo 0 >/proc/sys/net/ipv4/ip_forward',
    mend: 'echo 1 >/proc/sys/net/ipv4/ip_forward',
    level: 'problem',
    check: 'forwarding',
    what: /net\.ipv4\.ip_forward is 0/,
  },
  {
    name: 'FORWARD that drops, and nobody who accepts',
    damage:
      'iptables-nft -P FORWARD DROP; iptables-nft -A FORWARD -m mark --mark 1 -j KUBE-FORWARD 2>/dev/null || true',
    mend: 'iptables-nft -P FORWARD ACCEPT',
    level: 'problem',
    check: 'FORWARD',
    what: /ip filter FORWARD has the policy DROP, and no rule in it accepts/,
    only: IPTABLES,
  },
  {
    name: 'a firewall of somebody’s own that drops',
    damage: `nft 'add table inet wall; add chain inet wall fw { type filter hook forward priority 5; policy drop; }'`,
    mend: 'nft delete table inet wall',
    level: 'warning',
    check: 'FORWARD',
    what: /inet wall fw drops what it does not accept/,
  },
  {
    name: 'both worlds of iptables',
    damage: 'iptables-legacy -A FORWARD -s 192.0.2.1 -j ACCEPT; iptables-nft -A INPUT -s 192.0.2.1 -j ACCEPT',
    mend: 'true',
    level: 'warning',
    check: 'iptables',
    what: /Both worlds of iptables/,
  },
  ...[
    { engine: 'kube-router', chain: 'KUBE-POD-FW-ABCDEF', what: /^kube-router .* ip filter KUBE-POD-FW-ABCDEF$/ },
    { engine: 'kube-router’s policies', chain: 'KUBE-NWPLCY-ABCDEF', what: /^kube-router .* KUBE-NWPLCY-ABCDEF$/ },
    { engine: 'Calico', chain: 'cali-FORWARD', what: /^Calico judges/ },
    { engine: 'Cilium', chain: 'CILIUM_FORWARD', what: /^Cilium judges/ },
  ].map(({ engine, chain, what }): Damage => ({
    name: `what ${engine} has left`,
    damage: `iptables-nft -N ${chain}`,
    mend: `iptables-nft -X ${chain}`,
    level: 'warning',
    check: 'engines',
    what,
  })),
  {
    name: 'the table of kube-network-policies',
    damage: `nft 'add table inet kube-network-policies; add chain inet kube-network-policies x'`,
    mend: 'nft delete table inet kube-network-policies',
    level: 'warning',
    check: 'engines',
    what: /^kube-network-policies judges/,
  },
  {
    name: 'our jump behind another rule',
    damage: 'for t in iptables-nft ip6tables-nft; do $t -I FORWARD -m mark --mark 77 -j ACCEPT; done',
    mend: 'for t in iptables-nft ip6tables-nft; do $t -D FORWARD 1; done',
    level: 'problem',
    check: 'hooks',
    what: /^ipv4: the jump to KUBE-NWPLCY-CHAIN is not the first rule of FORWARD$/,
    only: IPTABLES,
  },
  {
    name: 'our jump gone',
    damage: 'ip6tables-nft -D OUTPUT -m addrtype ! --src-type LOCAL -j KUBE-NWPLCY-CHAIN',
    mend: 'ip6tables-nft -A OUTPUT -m addrtype ! --src-type LOCAL -j KUBE-NWPLCY-CHAIN',
    level: 'problem',
    check: 'hooks',
    what: /^ipv6: OUTPUT has no jump to KUBE-NWPLCY-CHAIN$/,
    only: IPTABLES,
  },
  {
    name: 'our base chain emptied',
    damage: 'nft flush chain inet kube-nwplcy forward',
    mend: 'nft add rule inet kube-nwplcy forward jump policies',
    level: 'problem',
    check: 'hooks',
    what: /the chain forward of the table inet kube-nwplcy is not as it must be/,
    only: ['nftables'],
  },
  {
    name: 'our table asleep',
    damage: `nft 'add table bridge kube-nwplcy { flags dormant; }'`,
    mend: `nft 'add table bridge kube-nwplcy { }'`,
    level: 'problem',
    check: 'hooks',
    what: /table bridge kube-nwplcy is dormant/,
    only: ['nftables'],
  },
];

describe.for<{ readonly backend: Backend }>([{ backend: 'iptables-nft' }, { backend: 'nftables' }])(
  'on a node with $backend',
  ({ backend }) => {
    let lab: Lab;
    let node: LabNode;

    beforeAll(async () => {
      lab = await startLab({ listen: [80], product: { executable: executable(), conflist: { backend } } });
      node = lab.node(1);
      mkdirSync(node.inside('/run/cni/net.d'), { recursive: true });
      writeFileSync(node.inside(CONFLIST), conflistText('flannel.conflist'));
      await node.product(['install', ...DIRECTORIES]);
      const agent = await node.startAgent(['--backend', backend]);
      await node.addPod({ namespace: 'shop', name: 'server' });
      await lab.sync();
      // It would put back what is taken away.
      await agent.stop();
      // kube-proxy's, and the agent's choice is not the only world.
      await output(node.run, ['sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward']);
    });
    afterAll(() => lab.stop());

    test('that is well it finds that no agent is there, and nothing else; it writes nothing', async () => {
      const before = await node.snapshot();
      const { exitCode, findings } = await examined(node);
      expect(await node.snapshot()).toEqual(before);
      expect(findings.filter(isTold).map(({ level, check }) => [level, check])).toEqual([['warning', 'agent']]);
      expect(exitCode).toBe(0);
    });

    test('beside an agent it finds nothing at all', async () => {
      const agent = await node.startAgent(['--backend', backend]);
      const { findings } = await examined(node);
      await agent.stop();
      expect(findings.filter(isTold)).toEqual([]);
      expect(findings.find(({ check }) => check === 'agent')?.what).toMatch(/^It is alive, process \d+, and uses /);
    });

    test.for(DAMAGES.filter(({ only = [backend] }) => only.includes(backend)))(
      'it finds $name',
      async ({ damage, mend, level, check, what }) => {
        await output(node.run, ['sh', '-ec', damage]);
        const { exitCode, findings } = await examined(node);
        await output(node.run, ['sh', '-ec', mend]);
        const found = findings.filter((finding) => finding.level === level && finding.check === check);
        expect(found.map((finding) => finding.what)).toEqual(expect.arrayContaining([expect.stringMatching(what)]));
        expect(found.every((finding) => finding.mend !== undefined && finding.mend !== '')).toBe(true);
        expect(exitCode).toBe(findings.some((finding) => finding.level === 'problem') ? 1 : 0);
      },
    );
  },
);

describe('on a node without', () => {
  test.for([
    {
      name: 'nft and iptables',
      without: /^(?:ip6?tables|ipset|xtables|nft)/,
      check: 'programs',
      what: /Neither nft nor/,
    },
    { name: 'ipset', without: /^ipset$/, check: 'programs', what: /^ipset is not in PATH/ },
    { name: 'conntrack', without: /^conntrack$/, check: 'programs', what: /^conntrack is not in PATH/ },
    { name: 'ip and bridge', without: /^(?:ip|bridge)$/, check: 'programs', what: /^bridge is not in PATH/ },
  ])('$name it says so', async ({ without, check, what }) => {
    using bare = await startLab({ product: { executable: executable(), withoutPrograms: without } });
    const { findings } = await examined(bare.node(1));
    const found = findings.filter((finding) => isTold(finding) && finding.check === check);
    expect(found.map((finding) => finding.what)).toEqual(expect.arrayContaining([expect.stringMatching(what)]));
  });

  test('root it looks at what it may, and says what it could not', async () => {
    using bare = await startLab({ product: { executable: executable() } });
    const node = bare.node(1);
    await node.startAgent();
    const { exitCode, stdout, stderr } = await node.run([
      'setpriv',
      '--reuid=65534',
      '--clear-groups',
      executable(),
      'doctor',
      ...DIRECTORIES,
      '--output',
      'json',
    ]);
    expect(stderr).toBe('');
    const { findings } = JSON.parse(stdout) as Answer;
    expect(exitCode).toBe(1);
    const unknown = findings.filter(({ level }) => level === 'unknown').map(({ check }) => check);
    expect(unknown).toEqual(expect.arrayContaining(['agent', 'iptables', 'hooks']));
  });
});

interface Answer {
  readonly healthy: boolean;
  readonly findings: readonly Finding[];
}

async function examined(node: LabNode): Promise<Answer & { readonly exitCode: number | undefined }> {
  const { exitCode, stdout, stderr } = await node.product(['doctor', ...DIRECTORIES, '--output', 'json']);
  expect(stderr).toBe('');
  return { exitCode, ...(JSON.parse(stdout) as Answer) };
}

/** What is good needs no words, and what this kernel was built with it does not tell. */
function isTold({ level, check }: Finding): boolean {
  return level !== 'ok' && check !== 'modules';
}

function executable(): string {
  return env['KUBE_NWPLCY'] ?? `${process.cwd()}/dist/kube-nwplcy`;
}
