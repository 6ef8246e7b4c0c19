import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { NodeSync, type PassCause } from '../../src/agent/nodeSync.ts';
import { CommandError } from '../../src/dataplane/commandError.ts';
import type { Iptables } from '../../src/dataplane/iptables/iptables.ts';
import { IptablesKernel } from '../../src/dataplane/iptables/iptablesKernel.ts';
import type { Cluster } from '../../src/kube/cluster.ts';
import { compile } from '../../src/policy/compile.ts';
import {
  isAcknowledged,
  readAttachment,
  readAttachments,
  removeAttachment,
  writeAttachment,
  writeJudgements,
  type Attachment,
} from '../../src/rendezvous/attachment.ts';
import { readExpected } from '../../src/rendezvous/expected.ts';
import { claimGeneration } from '../../src/rendezvous/generation.ts';
import { makeRuntimeDir } from '../../src/rendezvous/runtimeDir.ts';
import { planChains } from '../../src/rules/iptables/chainPlan.ts';
import { STANDING_CHAINS } from '../../src/rules/iptables/entryChains.ts';
import { NOTHING_IN_KERNEL, type KernelChains } from '../../src/rules/iptables/kernelChains.ts';
import { DEFAULT_MARK_MASK, generationMark, type Mark } from '../../src/rules/mark.ts';
import { idOf, type PodHooks, type PodJudgements } from '../../src/rules/pod.ts';
import {
  addPod,
  deletePod,
  deleteRemains,
  ensureStanding,
  podChainNames,
} from '../../src/rules/iptables/podRestore.ts';
import { wantedPolicy } from '../../src/rules/wanted.ts';
import { wantedChains } from '../../src/rules/iptables/wantedChains.ts';
import { attachment } from '../helpers/attachments.ts';
import { clusterSource } from '../helpers/clusterSource.ts';
import { FakeNetfilter } from '../helpers/fakeNetfilter.ts';
import { clusterOf, namespace, pod, policy } from '../helpers/manifests.ts';
import { RefusedError, RestoreTable } from '../helpers/restoreTable.ts';

// Two container runtimes' worth of ADD and DEL beside an agent, on real files and one table. What each does between two of its steps is anybody's
// turn; the plugin may be killed at any step. The steps of ADD and DEL are those of src/cni, which runs its programs with the whole process waiting.

const PODS = ['shop/a', 'shop/b'] as const;
const QUARANTINE: PodJudgements = { ingress: { kind: 'quarantine' }, egress: { kind: 'quarantine' } };
const LONGEST_MS = 91_000;

const WORLDS: readonly Cluster[] = [
  [],
  [policy('shop/deny', { podSelector: {} })],
  [policy('shop/deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] })],
  [policy('shop/port', { podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] })],
].map((policies) => clusterOf([namespace('shop'), ...PODS.map((key) => pod(key, {})), ...policies]));

let fake: FakeNetfilter;
let root: string;
beforeEach(async () => {
  fake = await FakeNetfilter.start();
  root = mkdtempSync(join(tmpdir(), 'races-'));
});
afterEach(() => {
  vi.useRealTimers();
  fake.stop();
  rmSync(root, { recursive: true });
});

/** `unheard`: a pass for the source's sake, before the news of the records that changed meanwhile. */
type Look = 'none' | 'unheard' | 'quick' | 'thorough' | 'restart';

/** Someone at work: each `turn` lets others go first, or never comes back to one who is killed. */
type Turn = (what: string) => Promise<void>;

interface Hooking {
  readonly wished: PodJudgements;
  readonly turn: Turn;
}

class Node {
  readonly runtimeDir = mkdtempSync(join(root, 'node-'));
  readonly table = new RestoreTable();
  readonly #turn: Turn;
  #sync: NodeSync;
  /** The pods that are hooked in for certain: ADD has said so, and DEL has not begun. */
  readonly protected = new Map<string, PodHooks>();
  cluster = WORLDS[0] ?? clusterOf([]);

  constructor(turn: Turn) {
    this.#turn = turn;
    makeRuntimeDir(this.runtimeDir);
    this.#sync = this.#newSync();
  }

  /** The attachments, by `idOf`, of whose records the agent has not heard yet. */
  readonly #changedRecords = new Set<string>();

  #newSync(): NodeSync {
    const table = {
      family: 'ipv4',
      read: async (names: Iterable<string>) => {
        await this.#turn('agent reads');
        const { chains, jumps } = this.table.ours();
        const asked = new Set([...names, ...STANDING_CHAINS]);
        return { jumps, chains: new Map([...chains].filter(([name]) => asked.has(name))) };
      },
      restore: async (lines: readonly string[]) => {
        await this.#turn('agent writes');
        this.commit(lines);
      },
    };
    return new NodeSync({
      nodeName: 'node-1',
      runtimeDir: this.runtimeDir,
      source: clusterSource(() => this.cluster),
      // Only what is asked of it: the class has private parts, and its programs would have turns of their own.
      kernel: new IptablesKernel([table as unknown as Iptables]),
      backend: 'iptables-nft',
      removeOthers: () => [],
      log: pino({ level: 'silent' }),
    });
  }

  /** Commits a transaction; a refusal is a CommandError. Who is protected must be so after each one. */
  commit(lines: readonly string[]): void {
    try {
      this.table.commit(lines);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      throw new CommandError({
        file: 'iptables-nft-restore',
        args: [],
        result: { exitCode: 1, stderr: error.message },
      });
    }
    for (const [key, hooks] of this.protected)
      if (!this.#isHooked(hooks)) throw new Error(`${key} is without its hooks after:\n${lines.join('\n')}`);
  }

  #isHooked(hooks: PodHooks): boolean {
    const [ingress = '', egress = ''] = podChainNames(hooks);
    const leads = (chain: string, target: string) =>
      this.table.rules(chain).some((rule) => rule.endsWith(` -g ${target}`));
    return (
      leads('NWPLCY-INGRESS', ingress) &&
      (leads('NWPLCY-EGRESS', egress) || leads('NWPLCY-SOURCES', egress)) &&
      this.table.rules(egress).at(-1) === '-j DROP'
    );
  }

  /** Passes of the agent; after a failure, and when it is started again, it looks at everything. */
  async agent(looks: readonly Look[]): Promise<void> {
    let isBlind = true;
    for (const look of looks) {
      await this.#turn('agent');
      if (look === 'restart') this.#sync = this.#newSync();
      try {
        await this.#sync.pass(this.#cause(isBlind ? 'restart' : look));
        isBlind = false;
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        isBlind = true;
      }
    }
  }

  #cause(look: Look): PassCause {
    if (look === 'unheard') return { look: 'none', records: new Set() };
    const records = look === 'none' ? new Set(this.#changedRecords) : 'all';
    this.#changedRecords.clear();
    return { look: look === 'restart' ? 'thorough' : look, records };
  }

  async add(record: Attachment, turn: Turn): Promise<void> {
    const { runtimeDir } = this;
    const again = readAttachment(runtimeDir, record) !== undefined;
    await turn('ADD writes its record');
    this.protected.delete(idOf(record));
    writeAttachment(runtimeDir, record);
    this.#changedRecords.add(idOf(record));
    await turn('ADD reads what is expected');
    const expected = readExpected(runtimeDir, record)?.judgements ?? QUARANTINE;
    let judgements = again
      ? await this.#hookBack(record, { wished: expected, turn })
      : await this.#hookIn(record, { wished: expected, turn });
    for (let looks = 0; looks < 3 && !isAcknowledged(runtimeDir, record); looks += 1)
      await turn('ADD waits for the agent');
    if (!isAcknowledged(runtimeDir, record)) judgements = await this.#hookBack(record, { wished: QUARANTINE, turn });
    await turn('ADD writes its judgements');
    writeJudgements(runtimeDir, { id: record, judgements });
    this.#changedRecords.add(idOf(record));
    await turn('ADD looks for its record');
    if (readAttachment(runtimeDir, record) !== undefined) {
      this.protected.set(idOf(record), record);
      return;
    }
    await this.#unhook(record, turn);
    removeAttachment(runtimeDir, record);
    this.#changedRecords.add(idOf(record));
  }

  async #hookIn(record: Attachment, { wished, turn }: Hooking): Promise<PodJudgements> {
    await turn('ADD writes');
    try {
      this.commit(addPod(record, { family: 'ipv4', judgements: wished, mark: this.#mark(), replaced: undefined }));
      return wished;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      return this.#hookBack(record, { wished: readExpected(this.runtimeDir, record)?.judgements ?? QUARANTINE, turn });
    }
  }

  /** Looks what there is, and brings up what is missing with the pod; in the end quarantined. */
  async #hookBack(record: Attachment, { wished, turn }: Hooking): Promise<PodJudgements> {
    for (let attempt = 0; ; attempt += 1) {
      const judgements = attempt < 3 ? wished : QUARANTINE;
      await turn('ADD looks');
      const { chains, jumps } = this.table.ours();
      const mark = this.#mark();
      const right = (['FORWARD', 'OUTPUT'] as const).filter((chain) => jumps[chain].inPlace);
      const lines = [
        ...ensureStanding({ family: 'ipv4', mark, chains: new Set(chains.keys()), jumps: new Set(right) }),
        ...deleteRemains(record, { hookRules: chains, chains: new Set() }),
        ...addPod(record, { family: 'ipv4', judgements, mark, replaced: undefined }),
      ];
      await turn('ADD mends');
      try {
        this.commit(lines);
        return judgements;
      } catch (error) {
        if (!(error instanceof CommandError) || attempt > 10) throw error;
      }
    }
  }

  async del(id: Attachment, turn: Turn): Promise<void> {
    const record = readAttachment(this.runtimeDir, id);
    await turn('DEL removes the record');
    this.protected.delete(idOf(id));
    removeAttachment(this.runtimeDir, id);
    this.#changedRecords.add(idOf(id));
    await turn('DEL writes');
    try {
      if (record !== undefined) return this.commit(deletePod(record, { family: 'ipv4', place: 'head' }));
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
    }
    await this.#unhook(id, turn);
  }

  async #unhook(id: Attachment, turn: Turn): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      await turn('DEL looks');
      const { chains } = this.table.ours();
      const lines = deleteRemains(id, { hookRules: chains, chains: new Set(chains.keys()) });
      await turn('DEL takes the rest');
      try {
        return this.commit(lines);
      } catch (error) {
        if (!(error instanceof CommandError) || attempt > 10) throw error;
      }
    }
  }

  #mark(): Mark {
    return generationMark(claimGeneration(this.runtimeDir), DEFAULT_MARK_MASK);
  }

  /** What the table should hold in the end, whatever happened on the way. */
  expected(): KernelChains['chains'] {
    const { profiles, judgements } = wantedPolicy(compile(this.cluster, 'node-1'));
    const pods = readAttachments(this.runtimeDir).map((hooks) => ({
      hooks,
      judgements: judgements.get(`${hooks.namespace}/${hooks.name}`),
    }));
    return planChains(NOTHING_IN_KERNEL, wantedChains(pods, { family: 'ipv4', profiles }), 'ipv4').after.chains;
  }
}

function settled(chains: KernelChains['chains']) {
  const some = [...chains].filter(([name]) => name !== 'KUBE-NWPLCY-CHAIN');
  return new Map(
    some.map(([name, rules]) => [name, /(?:GRESS|SOURCES|PROFILES)$/.test(name) ? rules.toSorted() : rules]),
  );
}

interface Call {
  readonly kind: 'add' | 'del';
  readonly variant: number;
  /** At which of its steps it is killed. */
  readonly killedAfter: number;
}

const alive = fc.constant(Infinity);
const killedAfter = fc.oneof({ weight: 4, arbitrary: alive }, { weight: 1, arbitrary: fc.nat(9) });
const call: fc.Arbitrary<Call> = fc.record({
  kind: fc.constantFrom('add', 'add', 'del'),
  variant: fc.nat(2),
  killedAfter,
});

/** Calls for one container come one after the other, as the specification demands, but a DEL may come while the last one still runs. */
const container = fc.record({
  calls: fc.array(call, { maxLength: 3 }),
  overtaking: fc.option(call.map((one) => ({ ...one, kind: 'del' as const }))),
});

type Container = typeof container extends fc.Arbitrary<infer T> ? T : never;

function recordOf(index: number, variant: number): Attachment {
  return attachment(PODS[index] ?? PODS[0], {
    addresses: [`10.0.${index}.${variant}`],
    hostInterface: variant === 2 ? undefined : `veth${index}`,
  });
}

class Killed extends Error {
  override readonly name = 'Killed';
}

interface Running {
  readonly node: Node;
  readonly index: number;
  readonly turn: Turn;
}

/** Runs one call until it ends or is killed; \`onStep\` is told of each step that it has done. */
async function run(
  { kind, variant, killedAfter: steps }: Call,
  { node, index, turn, onStep = () => {} }: Running & { readonly onStep?: (step: number) => void },
): Promise<void> {
  let step = 0;
  const mortalTurn: Turn = async (what) => {
    onStep(step);
    if (step === steps) throw new Killed();
    step += 1;
    await turn(what);
  };
  try {
    await (kind === 'add'
      ? node.add(recordOf(index, variant), mortalTurn)
      : node.del(recordOf(index, variant), mortalTurn));
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
  } finally {
    onStep(Infinity);
  }
}

async function runContainer({ calls, overtaking }: Container, running: Running): Promise<void> {
  for (const one of calls.slice(0, -1)) await run(one, running);
  const last = calls.at(-1);
  let begun = (): void => {};
  // An ADD that has not even written its record is one that comes after the DEL.
  const isBegun = new Promise<void>((resolve) => (begun = resolve));
  const lastDone = last === undefined ? begun() : run(last, { ...running, onStep: (step) => step > 0 && begun() });
  await isBegun;
  if (overtaking !== null) await run(overtaking, running);
  await lastDone;
}

interface Story {
  readonly containers: readonly Container[];
  readonly looks: readonly Look[];
  /** The worlds that the source shows one after the other. */
  readonly worlds: readonly number[];
}

const story: fc.Arbitrary<Story> = fc.record({
  containers: fc.array(container, { minLength: 1, maxLength: PODS.length }),
  looks: fc.array(fc.constantFrom<Look>('none', 'none', 'unheard', 'quick', 'thorough', 'restart'), {
    minLength: 2,
    maxLength: 8,
  }),
  worlds: fc.array(fc.nat(WORLDS.length - 1), { maxLength: 4 }),
});

/** Lets everybody work at once, and then the agent alone for as long as it waits for those who were killed. */
async function play({ containers, looks, worlds }: Story, scheduler: fc.Scheduler): Promise<Node> {
  const turn: Turn = (what) => scheduler.schedule(Promise.resolve(), what);
  const node = new Node(turn);
  const source = async () => {
    for (const world of worlds) {
      await turn('the source changes');
      node.cluster = WORLDS[world] ?? node.cluster;
    }
  };
  const runtimes = containers.map((one, index) => runContainer(one, { node, index, turn }));
  await scheduler.waitFor(Promise.all([...runtimes, node.agent(looks), source()]));
  for (let round = 0; round < 2; round += 1) {
    vi.setSystemTime(Date.now() + LONGEST_MS);
    await scheduler.waitFor(node.agent(['thorough', 'quick']));
  }
  return node;
}

test('whatever turns ADD, DEL and the agent take, no pod is ever without its hooks, and in the end nothing is left of anybody gone', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_795_000_000_000 });
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), story, async (scheduler, told) => {
      const node = await play(told, scheduler);
      const { chains, jumps } = node.table.ours();
      expect(settled(chains)).toEqual(settled(node.expected()));
      expect(jumps).toEqual({ FORWARD: { count: 1, inPlace: true }, OUTPUT: { count: 1, inPlace: true } });
    }),
    { numRuns: 40 },
  );
}, 120_000);
