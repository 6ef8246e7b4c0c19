import { watch } from 'node:fs';
import type { Server } from 'node:net';
import type { Logger } from 'pino';
import type { Source } from '../source/source.ts';
import {
  agentSocketPath,
  type AgentReply,
  type AgentRequest,
  type AgentStatus,
  type ExplainRequest,
} from '../rendezvous/agentSocket.ts';
import { ownAddresses } from '../dataplane/ownAddresses.ts';
import { beat, endHeartbeat, HEARTBEAT_PERIOD_MS } from '../rendezvous/heartbeat.ts';
import { makeRuntimeDir } from '../rendezvous/runtimeDir.ts';
import { bridgeSysctls } from '../dataplane/bridgeSysctls.ts';
import { CommandError } from '../dataplane/commandError.ts';
import { DeniedTeller, type EventWriter } from './deniedTeller.ts';
import { serveLivePage, type LivePage, type LivePageOptions } from './livePage.ts';
import { auditedIn } from './audited.ts';
import { explainOnNode } from './explainOnNode.ts';
import { serveMetrics, type ListenAddress } from './metrics.ts';
import { AgentMetrics } from './metrics/agentMetrics.ts';
import { NodeSync, type NodeSyncOptions, type PassCause } from './nodeSync.ts';
import { PassRunner } from './passRunner.ts';
import { listen } from './socket.ts';

export interface AgentOptions extends NodeSyncOptions {
  readonly version: string;
  /** The source as the command line named it. */
  readonly sourceName: string;
  readonly backendReason: string;
  /** Where metrics and health are served; nowhere if `undefined`. */
  readonly metricsAddress: ListenAddress | undefined;
  /** How the page of who reaches whom is served; nowhere if missing. */
  readonly page?: LivePageOptions | undefined;
  /** Where refusals are told of; nowhere if missing. */
  readonly events?: EventWriter | undefined;
}

/** How often a look at the kernel is thorough: every chain and every set member, not the likely ones alone. */
const THOROUGH_PERIOD_MS = 15_000;
/** Where there is much to look at, looks come less often than once a second: they take up no more than this part of the time… */
const LOOKING_SHARE = 0.1;
/** … but come as often as this: one that took long may only have been held up. */
const LONGEST_REST_MS = 5000;
const RETRY_MS = 250;

/** Keeps this node's kernel in step with the source, from `start` to `stop`. */
export class Agent {
  readonly #options: AgentOptions;
  readonly #source: Source;
  readonly #log: Logger;
  readonly #metrics: AgentMetrics;
  readonly #sync: NodeSync;
  readonly #since = new Date().toISOString();
  #inSyncSince: string | undefined;
  /** When the first of the changes was heard that no pass has looked at yet, by the monotonic clock in milliseconds. */
  #heardAt: number | undefined;
  readonly #passes = new PassRunner(() => this.#pass());
  readonly #stops: (() => void)[] = [];
  #server: Server | undefined;
  #page: LivePage | undefined;
  readonly #teller: DeniedTeller | undefined;
  #look: PassCause['look'] = 'thorough';
  #records: Set<string> | 'all' = 'all';
  #lookedAt = 0;
  #lookedThoroughlyAt = 0;
  #nextLookAt = 0;
  #isBeatDue = true;
  #failure: string | undefined;
  /** How many passes have failed one after the other. */
  #failures = 0;
  #retry: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#source = options.source;
    this.#log = options.log;
    this.#metrics = new AgentMetrics(options, () => this.#status());
    this.#sync = new NodeSync({ ...options, metrics: this.#metrics });
    const { events, nodeName, log } = options;
    this.#teller = events && new DeniedTeller({ events, nodeName, log, sync: this.#sync });
  }

  /** Begins. Throws an AgentRunningError when another agent serves this runtime directory, or the file system's error. */
  async start(): Promise<void> {
    const { runtimeDir } = this.#options;
    makeRuntimeDir(runtimeDir);
    this.#server = await listen(agentSocketPath(runtimeDir), (request) => this.#answer(request));
    await this.#serveMetrics();
    await this.#servePage();
    // An agent that was killed may have left a heartbeat; this one has no right to it before it is in sync.
    endHeartbeat(runtimeDir);
    for (const directory of ['attachments', 'hooked']) {
      const watcher = watch(`${runtimeDir}/${directory}`, (_, name) => this.#hear(name));
      watcher.on('error', (error) =>
        this.#log.error({ err: error }, 'Cannot watch the attachments: they are looked at once a second'),
      );
      this.#stops.push(() => watcher.close());
    }
    this.#stops.push(this.#options.kernel.listen(() => this.#lookSoon()));
    await this.#source.start(() => {
      this.#page?.changed();
      this.#hearSource();
    });
    const timer = setInterval(() => this.#tick(), HEARTBEAT_PERIOD_MS);
    this.#stops.push(() => clearInterval(timer));
    this.#teller?.start();
    this.#hearSource();
  }

  /** Ends. The kernel keeps what it holds; without a heartbeat the plugin quarantines new pods. */
  async stop(): Promise<void> {
    this.#ended = true;
    for (const stop of this.#stops) stop();
    endHeartbeat(this.#options.runtimeDir);
    await Promise.all([this.#source.stop(), this.#teller?.stop()]);
    await this.#passes.idle();
    this.#server?.close();
  }

  async #serveMetrics(): Promise<void> {
    const { metricsAddress } = this.#options;
    if (metricsAddress === undefined) return;
    this.#metrics.serve(async () => (await this.#sync.denied()).flows);
    const server = await serveMetrics(metricsAddress, { metrics: this.#metrics, status: () => this.#status() });
    this.#stops.push(() => server.close());
  }

  #hearSource(): void {
    this.#heardAt ??= performance.now();
    this.#request();
  }

  async #servePage(): Promise<void> {
    const { page, nodeName, sourceName } = this.#options;
    if (page === undefined) return;
    const served = await serveLivePage(page, { nodeName, sourceName, state: () => this.#source.state() });
    this.#page = served;
    this.#stops.push(() => served.close());
  }

  #request(): void {
    void this.#passes.run();
  }

  /** A record, or what belongs to it, has come, changed or gone. */
  #hear(name: string | null): void {
    // It is written aside first, under a name that is no record's.
    if (name?.startsWith('.') === true) return;
    if (name === null) this.#records = 'all';
    else if (this.#records !== 'all') this.#records.add(name);
    this.#request();
  }

  /** Once a second: a look at the kernel for what others took away, and the heartbeat. */
  #tick(): void {
    const now = performance.now();
    const isThoroughDue = now - this.#lookedThoroughlyAt >= THOROUGH_PERIOD_MS;
    if (this.#look === 'none' && now >= this.#nextLookAt) this.#look = isThoroughDue ? 'thorough' : 'quick';
    this.#records = 'all';
    this.#isBeatDue = true;
    this.#request();
  }

  /** What others have changed is put right at once, but where they keep changing it, once a second like all that is not heard of. */
  #lookSoon(): void {
    if (performance.now() - this.#lookedAt < HEARTBEAT_PERIOD_MS) return;
    if (this.#look === 'none') this.#look = 'quick';
    this.#request();
  }

  async #pass(): Promise<void> {
    const heardAt = this.#heardAt;
    // How long it takes to list everything is no lag.
    this.#heardAt = undefined;
    if (this.#ended || !this.#source.state().inSync) return;
    this.#inSyncSince ??= new Date().toISOString();
    const [look, records] = [this.#look, this.#records];
    this.#look = 'none';
    this.#records = new Set();
    const started = performance.now();
    if (look !== 'none') this.#lookedAt = started;
    if (look === 'thorough') this.#lookedThoroughlyAt = started;
    try {
      const { looking, changed } = await this.#sync.pass({ look, records });
      if (changed && heardAt !== undefined) this.#metrics.source.written((performance.now() - heardAt) / 1000);
      if (look !== 'none') this.#nextLookAt = started + Math.min(looking / LOOKING_SHARE, LONGEST_REST_MS);
      this.#beat();
      this.#failure = undefined;
      this.#failures = 0;
    } catch (error) {
      this.#heardAt = heardAt ?? this.#heardAt;
      this.#fail(error);
    }
  }

  #beat(): void {
    if (this.#ended || !this.#isBeatDue) return;
    const { runtimeDir, backend } = this.#options;
    beat(runtimeDir, { pid: process.pid, backend });
    this.#isBeatDue = false;
  }

  /** Nothing is lost: the kernel keeps its last whole state, and the next pass looks at it before it writes. */
  #fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#metrics.kernel.refused(error instanceof CommandError ? 'kernel' : 'other');
    this.#failures += 1;
    // Once is not yet an error: an ADD or DEL may have come between, and the next look tells.
    if (this.#failures <= 2 || message !== this.#failure)
      this.#log[this.#failures === 1 ? 'warn' : 'error'](
        { err: error },
        'Cannot bring the kernel up to date: trying again',
      );
    this.#failure = message;
    this.#look = 'thorough';
    this.#records = 'all';
    // One timer, however many passes fail: the ticks and `sync` ask for passes too, and each would start a row of its own.
    clearTimeout(this.#retry);
    if (!this.#ended) this.#retry = setTimeout(() => this.#request(), RETRY_MS).unref();
  }

  async #answer(request: AgentRequest): Promise<AgentReply> {
    switch (request.ask) {
      case 'status':
        return { kind: 'status', status: this.#status() };
      case 'denied':
        return { kind: 'denied', ...(await this.#sync.denied()) };
      case 'sync':
        return this.#answerSync();
      case 'explain':
        return this.#explain(request);
      default:
        return { kind: 'failed', message: 'Cannot answer: the request is of another version' };
    }
  }

  #explain(request: ExplainRequest): AgentReply {
    const { nodeName, backend, sourceName } = this.#options;
    const known = this.#sync.known();
    if (known === undefined)
      return { kind: 'failed', message: `Cannot explain: the agent of ${nodeName} has not read everything yet` };
    // Of an API server the agent asks for the pods that it needs.
    const isPartial = sourceName.startsWith('kube:');
    const answer = explainOnNode(request, { ...known, isPartial, nodeName, ownAddresses: ownAddresses() });
    return { kind: 'explained', answer: { nodeName, backend, ...answer } };
  }

  async #answerSync(): Promise<AgentReply> {
    await this.#source.refresh();
    this.#records = 'all';
    if (this.#sync.isAnyLeaving()) this.#look = 'thorough';
    do await this.#passes.run();
    while (!this.#ended && (this.#failure !== undefined || !this.#source.state().inSync) && (await pause(RETRY_MS)));
    await this.#sync.flowsEnded();
    return { kind: 'synced', problems: this.#source.state().problems };
  }

  #status(): AgentStatus {
    const { version, nodeName, sourceName, backend, backendReason, kernel } = this.#options;
    const { cluster, ...source } = this.#source.state();
    return {
      version,
      pid: process.pid,
      nodeName,
      since: this.#since,
      source: { from: sourceName, inSyncSince: this.#inSyncSince, ...source },
      backend: { name: backend, reason: backendReason, families: kernel.families },
      bridgeNetfilter: bridgeSysctls(),
      nflog: kernel.flowLog(),
      policies: cluster.policies.size,
      audit: auditedIn(cluster),
      ...this.#sync.report(),
      failure: this.#failure ?? this.#sync.unfiltered(),
    };
  }
}

async function pause(milliseconds: number): Promise<true> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  return true;
}
