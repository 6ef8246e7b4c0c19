import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Iptables } from '../../../src/dataplane/iptables/iptables.ts';
import { IptablesKernel } from '../../../src/dataplane/iptables/iptablesKernel.ts';
import type { Kernel, KernelOptions, Wanted } from '../../../src/dataplane/kernel.ts';
import { changesBetween, NO_OBJECTS, type Cluster } from '../../../src/kube/cluster.ts';
import { Compilation } from '../../../src/policy/compile.ts';
import { addressSets } from '../../../src/rules/iptables/addressSet.ts';
import { DEFAULT_MARK_MASK, generationMark, type Mark } from '../../../src/rules/mark.ts';
import { isProfileChain } from '../../../src/rules/names.ts';
import { idOf, type PodHooks, type PodJudgements } from '../../../src/rules/pod.ts';
import { addPod, deletePod, podChainNames } from '../../../src/rules/iptables/podRestore.ts';
import { wantedPolicy, type WantedPolicy } from '../../../src/rules/wanted.ts';
import { FakeNetfilter } from '../../helpers/fakeNetfilter.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../../helpers/manifests.ts';

const NODE = 'node-1';
const web = { labels: { app: 'web' }, addresses: ['10.0.0.1', 'fd00::1'] };
const db = { labels: { app: 'db' }, addresses: ['10.0.0.2', 'fd00::2'] };
const cli = { labels: { app: 'cli' }, addresses: ['10.0.0.3'], nodeName: 'node-2' };
const WORLD: readonly Manifest[] = [namespace('shop'), pod('shop/web', web), pod('shop/db', db), pod('shop/cli', cli)];

const from = (app: string) => ({ from: [{ podSelector: { matchLabels: { app } } }] });
const toDb = (...apps: readonly string[]) =>
  policy('shop/db', { podSelector: { matchLabels: { app: 'db' } }, ingress: apps.map(from) });

const compilation = new Compilation(NODE);
let known: Cluster = NO_OBJECTS;

/** As an agent does, each state is told as a change of the one before. */
function policyOf(manifests: readonly Manifest[]): WantedPolicy {
  const before = known;
  known = clusterOf(manifests);
  return wantedPolicy(compilation.update(known, changesBetween(before, known)));
}

function hooksOf(name: string, addresses: readonly string[]): PodHooks {
  return {
    containerId: name,
    ifName: 'eth0',
    namespace: 'shop',
    name,
    addresses,
    hostInterface: `veth${name}`,
    bridged: true,
  };
}
const WEB = hooksOf('web', web.addresses);
const DB = hooksOf('db', db.addresses);

let fake: FakeNetfilter;
let kernel: Kernel;
let generation: number;

beforeEach(async () => {
  fake = await FakeNetfilter.start();
  generation = 0;
  kernel = newKernel();
});
afterEach(() => fake.stop());

function newKernel(options?: KernelOptions): Kernel {
  const tables = (['ipv4', 'ipv6'] as const).map((family) => new Iptables(family, 'iptables-nft'));
  return new IptablesKernel(tables, options);
}

function claimMark(): Mark {
  generation += 1;
  return generationMark(generation, DEFAULT_MARK_MASK);
}

function wanted(manifests: readonly Manifest[], more: Partial<Wanted> = {}): Wanted {
  const policies = policyOf(manifests);
  const judged = [WEB, DB].flatMap((hooks) => {
    const judgements = policies.judgements.get(`shop/${hooks.name}`);
    return judgements === undefined ? [] : [{ hooks, judgements }];
  });
  return { policy: policies, pods: judged, leaving: new Set(), unsettled: [], claimMark, ...more };
}

/** The sets that are wanted, with their members. */
function setsOf({ policy: { groups } }: Wanted) {
  const sets = [...groups.values()].flatMap(addressSets);
  return new Map(sets.map(({ name, members }) => [name, new Set(members)]));
}

const look = (thorough = true) => kernel.read({ thorough, leaving: new Set() });

/** Looks and applies, as an agent does that knows nothing yet. */
async function settle(want: Wanted): Promise<void> {
  await look();
  await kernel.apply(want);
  fake.runs.length = 0;
}

/** What the kernel holds of ours: the tables and the sets. */
function held() {
  const { ipv4, ipv6 } = fake.tables;
  return [new Map(ipv4.chains), new Map(ipv6.chains), fake.sets.sets];
}

/** The same without what differs by the way that led there: the order of hooks, the generation and those behind it. */
function settled(parts: ReturnType<typeof held>) {
  const text = (rule: string) => rule.replace(/0x\w+0000\//, '0x…/');
  const content = (name: string, rules: Iterable<string>) => {
    const texts = [...rules].map(text).toSorted();
    return name === 'KUBE-NWPLCY-CHAIN' ? [...new Set(texts)] : texts;
  };
  return parts.map((part) => new Map([...part].map(([name, rules]) => [name, content(name, rules)])));
}

/** What a new agent would put into an empty kernel. */
async function heldByAnother(want: Wanted) {
  const other = await FakeNetfilter.start();
  const its = newKernel();
  await its.read({ thorough: true, leaving: new Set() });
  await its.apply({ ...want, claimMark: () => generationMark(generation, DEFAULT_MARK_MASK) });
  other.stop();
  const { ipv4, ipv6 } = other.tables;
  return [new Map(ipv4.chains), new Map(ipv6.chains), other.sets.sets];
}

function commands(): readonly string[] {
  return fake.runs.map(({ program, args }) => [program, ...args].join(' '));
}

describe('a change', () => {
  test('is told once; where nothing changed nothing is run', async () => {
    const want = wanted([...WORLD, toDb('web')]);
    await look();
    expect(await kernel.apply(want)).toEqual({ changed: true, mended: true, closed: true });
    fake.runs.length = 0;
    expect(await kernel.apply(want)).toEqual({ changed: false, mended: false, closed: false });
    expect(commands()).toEqual([]);
  });

  test('fills sets before rules name them, and destroys them after', async () => {
    await settle(wanted([...WORLD, toDb('web')]));
    await kernel.apply(wanted([...WORLD, toDb('cli')]));
    expect(commands()).toEqual([
      'ipset restore -exist',
      expect.stringMatching(/^ip6?tables-nft-restore --noflush --wait 5$/),
      expect.stringMatching(/^ip6?tables-nft-restore --noflush --wait 5$/),
      'ipset restore -exist',
    ]);
    expect(fake.runs.at(-1)?.input).toMatch(/^(?:destroy NWPLCY[46]-[A-Z2-7]{20}\n){2}$/);
  });

  test('of one policy writes no other pod’s chains', async () => {
    await settle(wanted([...WORLD, toDb('web')]));
    await kernel.apply(wanted([...WORLD, toDb('web', 'cli')]));
    const [text = ''] = fake.transactions('ipv4');
    expect(podChainNames(WEB).filter((name) => text.includes(name))).toEqual([]);
  });

  test('of members alone does not touch the rules unless one leaves', async () => {
    const before = [...WORLD, toDb('cli')];
    await settle(wanted(before));
    const more = [...before, pod('shop/cli2', { ...cli, addresses: ['10.0.0.4'] })];
    expect(await kernel.apply(wanted(more))).toEqual({ changed: true, mended: true, closed: false });
    expect(commands()).toEqual(['ipset restore -exist']);
    expect(await kernel.apply(wanted(before))).toEqual({ changed: true, mended: true, closed: true });
    expect(fake.transactions('ipv4')).toEqual([expect.stringContaining('--set-xmark 0x30000/0xffff0000')]);
    expect(fake.transactions('ipv6')).toEqual([]);
  });

  // The next pod that gets the address may be none of the set's, and its flow may look like one of the last holder's: the same ports, UDP above all.
  test('that takes the last holder of an address out of a set has flows judged again, whether or not the pod is there yet that gets it next', async () => {
    await settle(wanted([...WORLD, toDb('cli')]));
    const gone = WORLD.filter((manifest) => manifest !== WORLD[3]);
    expect((await kernel.apply(wanted([...gone, toDb('cli')]))).closed).toBe(true);
  });

  test('uses one generation for both families, and another one each time', async () => {
    const marks = () => (['ipv4', 'ipv6'] as const).map((family) => fake.tables[family].rules('KUBE-NWPLCY-CHAIN')[0]);
    await settle(wanted(WORLD));
    expect(marks()).toEqual(Array(2).fill('-m connmark --mark 0x20000/0xffff0000 -j RETURN'));
    await kernel.apply(wanted([...WORLD, toDb()]));
    expect(marks()).toEqual(Array(2).fill('-m connmark --mark 0x30000/0xffff0000 -j RETURN'));
  });
});

describe('an agent that starts', () => {
  test('on what an earlier one left raises the generation and changes nothing else', async () => {
    const want = wanted([...WORLD, toDb('web')]);
    await settle(want);
    const before = held();
    kernel = newKernel();
    await look();
    expect(await kernel.apply(want)).toEqual({ changed: true, mended: false, closed: true });
    expect(fake.transactions('ipv4')).toEqual([
      expect.stringMatching(/^\*filter\n(?:-I KUBE-NWPLCY-CHAIN .*\n){6}COMMIT\n$/),
    ]);
    for (const chains of before.slice(0, 2)) (chains as Map<string, unknown>).delete('KUBE-NWPLCY-CHAIN');
    const after = held();
    for (const chains of after.slice(0, 2)) (chains as Map<string, unknown>).delete('KUBE-NWPLCY-CHAIN');
    expect(after).toEqual(before);
  });

  test('takes away what an earlier one left and nobody wants', async () => {
    await settle(wanted([...WORLD, toDb('web', 'cli')]));
    kernel = newKernel();
    await look();
    const want = wanted(WORLD, { pods: [] });
    await kernel.apply(want);
    expect(held()).toEqual(await heldByAnother(want));
    expect(fake.sets.sets.size).toBe(0);
  });
});

describe('what others take away or put in is put right by the next look and pass', () => {
  const want = () => wanted([...WORLD, toDb('web', 'cli')]);
  const all = (table: FakeNetfilter['tables']['ipv4']) => [...table.chains.keys()];

  test.for<{ readonly what: string; readonly damage: (fake: FakeNetfilter) => void; readonly thorough?: boolean }>([
    { what: 'FORWARD is flushed', damage: ({ tables }) => tables.ipv4.commit(['-F FORWARD']) },
    {
      what: 'every chain is flushed',
      damage: ({ tables }) => tables.ipv6.commit(all(tables.ipv6).map((name) => `-F ${name}`)),
    },
    {
      what: 'everything is flushed and removed',
      damage: ({ tables }) => {
        const ours = [...tables.ipv4.ours().chains.keys()];
        tables.ipv4.commit([...all(tables.ipv4).map((name) => `-F ${name}`), ...ours.map((name) => `-X ${name}`)]);
      },
    },
    {
      what: 'a hook is taken out',
      damage: ({ tables }) => tables.ipv4.commit([`-D NWPLCY-INGRESS ${tables.ipv4.rules('NWPLCY-INGRESS')[0]}`]),
    },
    {
      what: 'a pod’s chain lets everything pass',
      damage: ({ tables }) => tables.ipv4.commit([`-I ${podChainNames(DB)[0]} -j RETURN`]),
    },
    {
      what: 'a profile is emptied',
      damage: ({ tables }) =>
        tables.ipv4.commit(
          all(tables.ipv4)
            .filter(isProfileChain)
            .map((name) => `-F ${name}`),
        ),
    },
    { what: 'the list of profiles is emptied', damage: ({ tables }) => tables.ipv4.commit(['-F NWPLCY-PROFILES']) },
    {
      what: 'a member is taken out of a set',
      damage: ({ sets }) =>
        sets.restore(
          [...sets.sets]
            .flatMap(([name, members]) => [...members].map((member) => `del ${name} ${member}`))
            .slice(0, 1),
        ),
    },
    {
      what: 'a member is put into a set',
      damage: ({ sets }) =>
        sets.restore([`add ${[...sets.sets.keys()].find((name) => name.startsWith('NWPLCY4'))} 203.0.113.1`]),
    },
    {
      what: 'a member is put in the place of another',
      thorough: true,
      damage: ({ sets }) => {
        const [name, members] = [...sets.sets].find(([, some]) => some.size > 0) ?? [];
        sets.restore([`del ${name} ${[...(members ?? [])][0]}`, `add ${name} 203.0.113.1`]);
      },
    },
  ])('$what', async ({ damage, thorough = false }) => {
    await settle(want());
    const whole = settled(held());
    damage(fake);
    await look(thorough);
    expect(await kernel.apply(want())).toMatchObject({ changed: true });
    expect(settled(held())).toEqual(whole);
    await look();
    fake.runs.length = 0;
    expect(await kernel.apply(want())).toEqual({ changed: false, mended: false, closed: false });
  });

  test('a member that others had put into a set: its flows are judged again', async () => {
    await settle(want());
    fake.sets.restore([`add ${[...fake.sets.sets.keys()].find((name) => name.startsWith('NWPLCY4'))} 203.0.113.1`]);
    await look(false);
    expect((await kernel.apply(want())).closed).toBe(true);
  });
});

describe('a failure', () => {
  const before = [...WORLD, toDb('web')];
  const after = [...WORLD, toDb('cli')];
  const failing = (program: string, part = '') =>
    fake.failNext((run) =>
      run.program === program && run.input.includes(part) && !run.input.includes('-S ')
        ? { exitCode: 4, stderr: 'no such luck\n' }
        : undefined,
    );

  test.for([
    { where: 'sets are filled', fail: () => failing('ipset', 'create') },
    { where: 'the first family’s rules are written', fail: () => failing('iptables-nft-restore') },
    { where: 'the second family’s rules are written', fail: () => failing('ip6tables-nft-restore') },
    { where: 'sets are destroyed', fail: () => failing('ipset', 'destroy') },
  ])('when $where is made good by the next look and pass, which still tells of what closed', async ({ fail }) => {
    await settle(wanted(before));
    fail();
    await expect(kernel.apply(wanted(after))).rejects.toThrow('no such luck');
    await look();
    const { closed } = await kernel.apply(wanted(after));
    expect(closed).toBe(true);
    expect(new Set(fake.sets.sets.keys())).toEqual(new Set(setsOf(wanted(after)).keys()));
    const profiles = [...fake.tables.ipv4.chains.keys()].filter(isProfileChain);
    expect(profiles).toEqual([...wanted(after).policy.profiles.keys()]);
    await look();
    expect(await kernel.apply(wanted(after))).toEqual({ changed: false, mended: false, closed: false });
  });

  test('after a member left does not let its flows live on', async () => {
    await settle(wanted([...WORLD, toDb('cli')]));
    failing('iptables-nft-restore');
    const gone = [...WORLD.slice(0, 3), toDb('cli')];
    await expect(kernel.apply(wanted(gone))).rejects.toThrow('no such luck');
    await look();
    fake.runs.length = 0;
    expect((await kernel.apply(wanted(gone))).closed).toBe(true);
    expect(fake.transactions('ipv4')).toEqual([expect.stringContaining('--set-xmark')]);
  });

  test('of one family does not end before the other family is done', async () => {
    await settle(wanted(before));
    failing('iptables-nft-restore');
    const release = fake.hold(({ program }) => program === 'ip6tables-nft-restore');
    let hasEnded = false;
    const applied = kernel.apply(wanted(after)).finally(() => (hasEnded = true));
    await vi.waitFor(() => expect(fake.runs.map(({ program }) => program)).toContain('ip6tables-nft-restore'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(hasEnded).toBe(false);
    release();
    await expect(applied).rejects.toThrow('no such luck');
  });
});

describe('ADD and DEL beside', () => {
  const judged = (name: string, manifests: readonly Manifest[]): PodJudgements => {
    const judgements = policyOf(manifests).judgements.get(`shop/${name}`);
    if (judgements === undefined) throw new Error(`no pod "${name}" here`);
    return judgements;
  };
  const add = (hooks: PodHooks, judgements: PodJudgements, replaced?: PodHooks) => {
    for (const family of ['ipv4', 'ipv6'] as const)
      fake.tables[family].commit(addPod(hooks, { family, judgements, mark: claimMark(), replaced }));
  };
  const underWay = { hooks: DB, judgements: undefined };
  const webOnly = (manifests: readonly Manifest[]) => wanted(manifests).pods.filter(({ hooks }) => hooks === WEB);
  const manifests = [...WORLD, toDb('web')];

  test('what ADD has written is taken over without a look', async () => {
    await settle(wanted(manifests, { pods: webOnly(manifests) }));
    await kernel.apply(wanted(manifests, { pods: [...webOnly(manifests), underWay] }));
    add(DB, judged('db', manifests));
    kernel.noteHooked(DB, judged('db', manifests));
    fake.runs.length = 0;
    expect(await kernel.apply(wanted(manifests))).toEqual({ changed: false, mended: false, closed: false });
    await look();
    expect(await kernel.apply(wanted(manifests))).toEqual({ changed: false, mended: false, closed: false });
  });

  test('what ADD has written is set right where the policy has changed since', async () => {
    await settle(wanted(manifests, { pods: webOnly(manifests) }));
    add(DB, judged('db', manifests));
    kernel.noteHooked(DB, judged('db', manifests));
    const now = wanted([...WORLD, toDb('cli')]);
    await kernel.apply(now);
    expect(settled(held())).toEqual(settled(await heldByAnother(now)));
  });

  test('an ADD that came twice is taken over as it was the second time', async () => {
    await settle(wanted(manifests));
    const moved = hooksOf('db', ['10.0.0.9', 'fd00::9']);
    const quarantine: PodJudgements = { ingress: { kind: 'quarantine' }, egress: { kind: 'quarantine' } };
    add(moved, quarantine, DB);
    kernel.noteHooked(moved, quarantine);
    const want = wanted(manifests);
    const pods = want.pods.map((one) => (one.hooks === DB ? { ...one, hooks: moved } : one));
    await kernel.apply({ ...want, pods });
    await look();
    expect(await kernel.apply({ ...want, pods })).toEqual({ changed: false, mended: false, closed: false });
  });

  test('what a DEL is taking out is left to it, with the profile that it leads to, until a look shows that it is gone', async () => {
    await settle(wanted(manifests));
    const leaving = new Set([idOf(DB)]);
    const now = { ...wanted(WORLD, { pods: webOnly(WORLD) }), leaving };
    expect(await kernel.apply(now)).toEqual({ changed: false, mended: false, closed: false });
    for (const family of ['ipv4', 'ipv6'] as const)
      fake.tables[family].commit(deletePod(DB, { family, place: 'head' }));
    fake.runs.length = 0;
    await kernel.read({ thorough: false, leaving });
    expect(fake.runs.filter(({ program }) => program.endsWith('-restore')).length).toBe(2);
    expect(await kernel.apply(now)).toEqual({ changed: true, mended: false, closed: false });
    expect(settled(held())).toEqual(settled(await heldByAnother(now)));
  });

  test('a profile and a set that a pod under way was given stay until it is settled', async () => {
    await settle(wanted(manifests, { pods: webOnly(manifests) }));
    add(DB, judged('db', manifests));
    await look();
    // Meanwhile nobody wants them any more.
    const now = [...WORLD, toDb('cli')];
    await kernel.apply(wanted(now, { pods: [...webOnly(now), underWay] }));
    kernel.noteHooked(DB, judged('db', manifests));
    await kernel.apply(wanted(now));
    expect(fake.sets.sets).toEqual(setsOf(wanted(now)));
    expect([...fake.tables.ipv4.chains.keys()].filter(isProfileChain)).toEqual([...wanted(now).policy.profiles.keys()]);
  });
});

test('the size is that of what is ours', async () => {
  fake.tables.ipv4.commit(['-N OTHER']);
  fake.sets.restore(['create FOREIGN hash:ip family inet maxelem 10']);
  await settle(wanted([...WORLD, toDb('web')]));
  // Ten standing chains, two of each pod, and a profile; a set in each family.
  expect(kernel.size()).toEqual({ sets: 2, chains: 15 });
});

describe('flows that no rule allows', () => {
  const end = () => fake.tables.ipv4.rules('NWPLCY-REJECT-INGRESS');

  test('are refused all the same where they cannot be noted down, and are noted down once they can', async () => {
    fake.failNext(({ program, input }) =>
      program === 'ipset' && input.includes('hash:ip,port,ip') ? { exitCode: 1, stderr: 'no luck\n' } : undefined,
    );
    await settle(wanted([...WORLD, toDb('web')]));
    expect(end()).toEqual(['-g NWPLCY-REJECT']);
    expect(await kernel.records()).toEqual({
      flows: [],
      problem: 'Cannot run "ipset restore -exist": exit code 1, no luck',
    });
    await kernel.read({ thorough: true, leaving: new Set() });
    await kernel.apply(wanted([...WORLD, toDb('web')]));
    expect([end().length, end().at(-1)]).toEqual([4, '-g NWPLCY-REJECT']);
    expect((await kernel.records()).problem).toBeUndefined();
  });

  test('are refused all the same where the kernel does not take the rules', async () => {
    fake.failNext(({ input }) => (input.includes('-j SET ') ? { exitCode: 4, stderr: 'no luck\n' } : undefined));
    await settle(wanted(WORLD));
    expect([end(), (await kernel.records()).problem]).toEqual([
      ['-g NWPLCY-REJECT'],
      expect.stringMatching(/no luck$/),
    ]);
    await look();
    await kernel.apply(wanted(WORLD));
    expect(end().length).toBe(4);
  });

  test('are logged besides where that is wanted, and no more by an agent that does not want it', async () => {
    kernel = newKernel({ nflogGroup: 5 });
    await settle(wanted(WORLD));
    expect([end().length, end()[0]]).toEqual([
      5,
      '-m limit --limit 10/sec --limit-burst 20 -j NFLOG --nflog-prefix "nwplcy denied ingress" --nflog-group 5 --nflog-size 128',
    ]);
    expect(kernel.flowLog()).toEqual({ group: 5, problem: undefined });
    kernel = newKernel();
    await settle(wanted(WORLD));
    expect([end().length, kernel.flowLog()]).toEqual([4, undefined]);
  });

  test('are noted down all the same where the kernel cannot log, and are logged once it can', async () => {
    kernel = newKernel({ nflogGroup: 0 });
    const refuse = ({ input }: { readonly input: string }) =>
      input.includes('-j NFLOG ') ? { exitCode: 4, stderr: 'no luck\n' } : undefined;
    // In both families, with records and without: nobody knows yet which of both it does not take.
    for (let count = 0; count < 4; count += 1) fake.failNext(refuse);
    await settle(wanted(WORLD));
    expect([end().length, kernel.flowLog()]).toEqual([4, { group: 0, problem: expect.stringMatching(/no luck$/) }]);
    expect((await kernel.records()).problem).toBeUndefined();
    await kernel.read({ thorough: true, leaving: new Set() });
    await kernel.apply(wanted(WORLD));
    expect([end().length, kernel.flowLog()]).toEqual([5, { group: 0, problem: undefined }]);
  });

  test('are noted down anew where others have taken the sets away', async () => {
    await settle(wanted(WORLD));
    fake.tables.ipv4.commit(['-F NWPLCY-REJECT-INGRESS']);
    fake.tables.ipv6.commit(['-F NWPLCY-REJECT-INGRESS']);
    for (const family of [4, 6])
      for (const part of ['', '-LAST']) fake.sets.restore([`destroy NWPLCY${family}-DENIED-INGRESS${part}`]);
    await kernel.read({ thorough: false, leaving: new Set() });
    await kernel.apply(wanted(WORLD));
    expect([end().length, fake.sets.has('NWPLCY4-DENIED-INGRESS-LAST')]).toEqual([4, true]);
  });
});
