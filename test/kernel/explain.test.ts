import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { KernelView } from '../../src/cli/kernelView.ts';
import { MOST_AT_HEAD } from '../../src/rules/iptables/hooks.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { output } from '../lab/run.ts';
import { productOf } from './backend.ts';
import { policy, ProductCluster } from './cluster.ts';
import { PLACES } from './places.ts';

// What `explain` says of the kernel is what packets meet there.

const PORTS = [80, 81];
const EXECUTABLE = productOf().executable ?? resolve('dist/kube-nwplcy');
const SERVER = policy('shop/server', {
  podSelector: { matchLabels: { role: 'server' } },
  policyTypes: ['Ingress'],
  ingress: [
    {
      from: [{ podSelector: { matchLabels: { role: 'client' } } }, { ipBlock: { cidr: '172.17.0.0/16' } }],
      ports: [{ port: 80 }],
    },
  ],
});
const SHUT = policy('shop/server', {
  podSelector: { matchLabels: { role: 'server' } },
  policyTypes: ['Ingress'],
});

interface Told {
  readonly exitCode: number | undefined;
  readonly allowed: boolean;
  readonly kernel: Extract<KernelView, { kind: 'followed' }>;
}

describe.for(PLACES)('explain on a node, $mode, $backend', ({ mode, backend }) => {
  let cluster: ProductCluster;
  let node: LabNode;
  let client: LabPod;
  let server: LabPod;
  let far: LabPod;

  beforeAll(async () => {
    cluster = await ProductCluster.start({ nodes: 2, mode, backend, listen: PORTS });
    node = cluster.lab.node(1);
    cluster.lab.manifests.apply(SERVER);
    server = await node.addPod({ namespace: 'shop', name: 'server', labels: { role: 'server' } });
    client = await node.addPod({ namespace: 'shop', name: 'client', labels: { role: 'client' } });
    far = await cluster.lab.node(2).addPod({ namespace: 'shop', name: 'far', labels: { role: 'client' } });
    await cluster.lab.sync();
  });
  afterAll(() => cluster[Symbol.dispose]());

  const explain = (question: string) => {
    const [from = '', to = '', port = '', ...others] = question.split(' ');
    return node.product(['explain', '--from', from, '--to', to, '--port', port, ...others]);
  };
  const told = async (question: string): Promise<Told> => {
    const { exitCode, stdout, stderr } = await explain(`${question} --output json`);
    if (stdout === '') throw new Error(`Cannot read the answer: ${stderr}`);
    return { exitCode, ...(JSON.parse(stdout) as Omit<Told, 'exitCode'>) };
  };
  /** The same while the agent does nothing: then the manifests are read. */
  const toldByManifests = (question: string) =>
    told(`${question} --source dir:${cluster.lab.manifests.directory} --kernel`);
  const outcome = async (from: LabPod, to: string, port: number) =>
    (await from.probe.dial([{ address: to, port, protocol: 'TCP' }])).map((one) => one.outcome);

  test('policies, kernel and packets say the same of every pair of pods, in both families', async () => {
    for (const family of [0, 1])
      for (const [from, to, side] of [
        [client, server, 'both'],
        [server, client, 'both'],
        [far, server, 'ingress'],
        [client, far, 'egress'],
      ] as const)
        for (const port of PORTS) {
          const address = to.addresses[family] ?? '';
          const { exitCode, allowed, kernel } = await told(`${from.namespace}/${from.name} ${address} ${port}`);
          const open = (await outcome(from, address, port))[0] === 'open';
          expect({ from: from.name, address, port, exitCode, allowed, kernel }).toMatchObject({
            exitCode: open ? 0 : 1,
            allowed: open,
            kernel: { kind: 'followed', judges: side, backend, differs: false, verdict: open ? 'passed' : 'refused' },
          });
          expect(kernel.rules.length).toBeGreaterThan(1);
        }
  });

  test('people are told in lines, and who knows it', async () => {
    const { exitCode, stdout } = await explain('shop/client shop/server 81');
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(
      /^DENIED {2}shop\/client \(10\.\S+\) → shop\/server \(10\.\S+\) {2}81\/TCP\n {9}as the agent of node node-1 knows\n/,
    );
    expect(stdout).toMatch(new RegExp(`^kernel {3}refuses it \\(${backend}, both ends\\)$`, 'm'));
  });

  test('an address outside, the node itself, a pod and itself, and what is elsewhere', async () => {
    expect(await told('172.17.0.9 shop/server 80')).toMatchObject({
      exitCode: 0,
      kernel: { judges: 'ingress', verdict: 'passed' },
    });
    expect(await told('172.18.0.9 shop/server 80')).toMatchObject({ exitCode: 1, kernel: { verdict: 'refused' } });
    // No object tells that it is the node's.
    expect(await told(`${node.addresses[0]} shop/server 81`)).toMatchObject({
      exitCode: 0,
      ingress: { kind: 'ownNode' },
    });
    const because = async (question: string) => (await told(question)).kernel;
    expect(await because(`${node.addresses[0]} shop/server 81`)).toEqual({ kind: 'notJudged', because: 'ownNode' });
    expect(await because('shop/server shop/server 81')).toEqual({ kind: 'notJudged', because: 'itself' });
    expect(await because('8.8.8.8 shop/far 80')).toEqual({ kind: 'notJudged', because: 'elsewhere' });
  });

  test('no answer is exit code 2: an unknown pod, no agent, no root', async () => {
    expect(await explain('shop/clien shop/server 80')).toMatchObject({
      exitCode: 2,
      stdout: '',
      stderr: 'Cannot use "shop/clien": there is no such pod; did you mean shop/client?\n',
    });
    const args = ['--from', 'shop/client', '--to', 'shop/server', '--port', '80'];
    const elsewhere = await node.run([EXECUTABLE, 'explain', ...args, '--runtime-dir', '/run/nowhere']);
    expect(elsewhere).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('Without an agent, say by --source'),
    });
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    for (const flags of [[], ['--source', `dir:/`, '--kernel']]) {
      const argv = [...nobody, EXECUTABLE, 'explain', ...args, ...flags, '--runtime-dir', node.runtimeDir];
      expect(await node.run(argv)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('run this as root') });
    }
  });

  describe('while the agent does nothing', () => {
    beforeAll(() => cluster.agent(1).pause());
    afterAll(async () => {
      cluster.lab.manifests.apply(SERVER);
      cluster.agent(1).resume();
      await cluster.lab.sync();
    });

    test('the kernel is as the manifests say', async () => {
      expect(await toldByManifests('shop/client shop/server 80')).toMatchObject({
        exitCode: 0,
        kernel: { verdict: 'passed', differs: false },
      });
      expect(await toldByManifests('shop/client shop/server 81')).toMatchObject({
        exitCode: 1,
        kernel: { verdict: 'refused', differs: false },
      });
    });

    test('a policy that nobody has heard of makes a difference', async () => {
      cluster.lab.manifests.apply(SHUT);
      expect(await toldByManifests('shop/client shop/server 80')).toMatchObject({
        exitCode: 1,
        allowed: false,
        kernel: { verdict: 'passed', differs: true },
      });
      const question = `shop/client shop/server 80 --source dir:${cluster.lab.manifests.directory} --kernel`;
      expect((await explain(question)).stdout).toMatch(
        /^DIFFERS .*: the policies deny it, the kernel of this node lets it pass\n {9}(?:the agent may not have heard|no agent is at work)/,
      );
      cluster.lab.manifests.apply(SERVER);
    });

    test('a pod that nobody knows is quarantined, and that is said', async () => {
      const late = await node.addPod({ namespace: 'shop', name: 'late', labels: { role: 'client' } });
      expect(await toldByManifests('shop/late shop/server 80')).toMatchObject({
        exitCode: 1,
        allowed: true,
        kernel: { verdict: 'refused', differs: true, quarantined: 'egress' },
      });
      expect(await outcome(late, server.addresses[0] ?? '', 80)).toEqual(['refused']);
      await late.delete();
    });

    test('a set without its member makes a difference', async () => {
      await output(node.run, ['sh', '-c', backend === 'nftables' ? EMPTY_NFT_SETS : EMPTY_IPSETS]);
      expect(await toldByManifests('shop/client shop/server 80')).toMatchObject({
        exitCode: 1,
        allowed: true,
        kernel: { verdict: 'refused', differs: true },
      });
      expect(await outcome(client, server.addresses[0] ?? '', 80)).toEqual(['refused']);
    });

    test('a flushed rule makes a difference', async () => {
      const flush =
        backend === 'nftables'
          ? ['nft', 'flush', 'chain', 'inet', 'kube-nwplcy', 'refuse']
          : [backend, '-F', 'NWPLCY-REJECT'];
      await output(node.run, flush);
      expect(await toldByManifests('shop/client shop/server 81')).toMatchObject({
        exitCode: 1,
        allowed: false,
        kernel: { verdict: 'passed', differs: true },
      });
      expect(await outcome(client, server.addresses[0] ?? '', 81)).toEqual(['open']);
    });

    test('a rule of somebody else that nobody understands is where it ends', async () => {
      const rule =
        backend === 'nftables'
          ? ['nft', 'insert rule inet kube-nwplcy policies meta cpu 0 drop']
          : [backend, '-I', 'NWPLCY-INGRESS', '-m', 'length', '--length', '1:9', '-j', 'DROP'];
      await output(node.run, rule);
      const question = `shop/client shop/server 80 --source dir:${cluster.lab.manifests.directory} --kernel`;
      expect((await explain(question)).stdout).toMatch(/^ALLOWED [^]*^ {11}cannot follow past: /m);
    });

    test('where no packet comes to our chains, that is said', async () => {
      const expectOpen = async (note: string) =>
        expect(await toldByManifests('shop/client shop/server 81')).toMatchObject({
          exitCode: 1,
          allowed: false,
          kernel: { verdict: 'passed', differs: true, notes: [expect.stringContaining(note)] },
        });
      if (mode === 'bridge') {
        const set = (value: number) =>
          output(node.run, ['sysctl', '-w', `net.bridge.bridge-nf-call-iptables=${value}`]);
        await set(0);
        await expectOpen('set net.bridge.bridge-nf-call-iptables=1');
        await set(1);
      }
      if (backend === 'nftables') {
        await output(node.run, ['nft', 'delete', 'table', 'inet', 'kube-nwplcy']);
        await expectOpen('there is no table inet kube-nwplcy');
      } else {
        await output(node.run, [backend, '-I', 'FORWARD', '-j', 'ACCEPT']);
        await output(node.run, [backend, '-D', 'NWPLCY-INGRESS', '1']);
        await expectOpen('other rules come before our jump in FORWARD');
        await output(node.run, [backend, '-D', 'FORWARD', '-j', 'ACCEPT']);
        await output(node.run, [backend, '-D', 'FORWARD', '-j', 'KUBE-NWPLCY-CHAIN']);
        await expectOpen('nothing in FORWARD leads to our chains');
      }
    });
  });

  test('what others have changed is put right, and told no more', async () => {
    await vi.waitFor(
      async () =>
        expect(await told('shop/client shop/server 80')).toMatchObject({ exitCode: 0, kernel: { differs: false } }),
      { timeout: 30_000, interval: 500 },
    );
  });

  test('on a node with many pods', async () => {
    const others = await Promise.all(
      Array.from({ length: 2 * MOST_AT_HEAD }, (_, index) =>
        node.addPod({ namespace: 'shop', name: `other-${index}` }),
      ),
    );
    await cluster.lab.sync();
    expect(await told('shop/client shop/server 80')).toMatchObject({ exitCode: 0, kernel: { verdict: 'passed' } });
    expect(await told(`shop/other-3 shop/server 80`)).toMatchObject({ exitCode: 1, kernel: { verdict: 'refused' } });
    expect(await told(`shop/server ${others[4]?.addresses[1]} 80`)).toMatchObject({
      exitCode: 0,
      kernel: { verdict: 'passed' },
    });
  });
});

const EMPTY_IPSETS =
  "ipset save | sed -n 's/^add \\(NWPLCY[46]-[A-Z2-7]* \\(10\\|fd\\)[^/]*\\)$/del \\1/p' | ipset restore";
const EMPTY_NFT_SETS =
  "nft list table inet kube-nwplcy | sed -n 's/^\\tset \\(peers[46]-[A-Z2-7]*\\) {$/flush set inet kube-nwplcy \\1/p' | nft -f -";
