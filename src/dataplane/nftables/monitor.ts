import { execa } from 'execa';
import { TABLE_NAME } from '../../rules/nftables/names.ts';
import type { NftCommands } from '../../rules/nftables/table.ts';

const RESTART_MS = 1000;
/** The kernel tells of a transaction before whoever made it hears that it is done; nft passes it on some milliseconds later. */
const OVERDUE_MS = 500;

/**
 * Hears of every change of our tables, and tells of those that are nobody's who should make them. The kernel tells of each transaction once, with
 * the end of it. How many of them were our own is counted, not which: what was too much was somebody else's.
 */
export class NftMonitor {
  readonly #onStrange: () => void;
  #own = 0;
  #committedAt = 0;
  #isAlive = false;
  #stop: (() => void) | undefined;
  #isStopped = false;

  constructor(onStrange: () => void) {
    this.#onStrange = onStrange;
    void this.#run();
  }

  /** Whether changes are being heard of at present. */
  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Announces a transaction of our own, and tells whether it is waited for: one that looks like an ADD's is not told from one. */
  expect(commands: NftCommands): boolean {
    const isWaitedFor = !isLikeAdd(commands);
    if (isWaitedFor) this.#own += 1;
    return isWaitedFor;
  }

  /** Notes that what was announced is done. */
  confirm(): void {
    this.#committedAt = performance.now();
  }

  /**
   * Whether a transaction of our own should long have been heard of. It may have changed less than it said, as one that empties what was empty
   * does, and what was taken for it was somebody else's, or will be.
   */
  get isOverdue(): boolean {
    return this.#own > 0 && performance.now() - this.#committedAt > OVERDUE_MS;
  }

  /** Takes back what was announced: the kernel has refused it. */
  unexpect(): void {
    this.#own -= 1;
  }

  /** Forgets what was announced and never heard of: a look at the kernel has told everything. */
  reset(): void {
    this.#own = 0;
  }

  stop(): void {
    this.#isStopped = true;
    this.#stop?.();
  }

  async #run(): Promise<void> {
    let restarts = false;
    while (!this.#isStopped) {
      const ended = this.#listen();
      if (restarts) this.#missed();
      await ended;
      this.#isAlive = false;
      if (this.#isStopped) return;
      this.#onStrange();
      await new Promise((resolve) => setTimeout(resolve, RESTART_MS).unref());
      restarts = true;
    }
  }

  /** What happened while nobody listened is told by nobody, be it others' or our own. */
  #missed(): void {
    this.#own = 0;
    this.#onStrange();
  }

  async #listen(): Promise<void> {
    const program = execa('nft', ['monitor'], {
      reject: false,
      stdin: 'ignore',
      buffer: false,
      env: { LC_ALL: 'C' },
    });
    this.#stop = () => void program.kill();
    // nft 1.0.6 forgets a set when a rule that looks there is deleted, and from then on only complains of its elements. A new one knows it again.
    program.stderr.once('data', () => program.kill());
    this.#isAlive = true;
    let lines: string[] = [];
    for await (const line of program) {
      if (OF_OURS.test(line)) lines.push(line);
      else if (line.startsWith('# new generation')) {
        if (lines.length > 0) this.#hear(lines);
        lines = [];
      } else if (line.startsWith('# ERR')) this.#onStrange();
    }
  }

  #hear(lines: readonly string[]): void {
    // First of all: ADDs come while our own transactions are on their way.
    if (lines.every(isOfAdd)) return;
    if (this.#own > 0) this.#own -= 1;
    else this.#onStrange();
  }
}

const OF_OURS = new RegExp(`^\\w+ \\w+ (?:inet|bridge) ${TABLE_NAME}(?: |$)`);

/** The plugin's ADD only adds, and only a pod's own: the agent knows of it by the record, and wants nothing of it but that it stays. */
function isOfAdd(line: string): boolean {
  return OF_ADD.test(line);
}

/**
 * Tells whether what is told of these commands may look like an ADD's. A pod's chain that is emptied may have been empty: nothing is told of that.
 * Where it was not, a look too many is taken; what is waited for in vain would hide somebody else's change.
 */
function isLikeAdd(commands: NftCommands): boolean {
  return commands.every((command) => isOfAdd(command) || EMPTIES_POD_CHAIN.test(command));
}

const POD_CHAIN = '(?:to|from)-[A-Z2-7]{18}';
const GENERATION = '(?:return|ct mark .* accept|ct mark set ct mark .*)';

/** In the words of our commands, and in those in which nft tells of them. */
const OF_ADD = new RegExp(
  [
    `add chain inet ${TABLE_NAME} ${POD_CHAIN}(?: \\{.*\\})?`,
    `add rule inet ${TABLE_NAME} ${POD_CHAIN} (?:handle \\d+ )?(?:ip6? [sd]addr \\S+ return|goto (?:refuse(?:-[a-z]+)?|profile-[A-Z2-7]{20}))`,
    `add element inet ${TABLE_NAME} (?:ingress|egress)[46] ${listOf(`[^ ,]+(?: comment "[^"]*")? : goto ${POD_CHAIN}`)}`,
    `add element (?:inet|bridge) ${TABLE_NAME} (?:interfaces|isolated|sources[46]) ${listOf('"[^"]+"(?: \\. [^ ,]+)?')}`,
    `insert rule inet ${TABLE_NAME} (?:judged|settle) (?:handle \\d+ )?${GENERATION}`,
  ]
    .map((form) => `^${form} *$`)
    .join('|'),
);

const EMPTIES_POD_CHAIN = new RegExp(`^flush chain inet ${TABLE_NAME} ${POD_CHAIN}$`);

function listOf(element: string): string {
  return `\\{ ${element}(?:, ${element})* \\}`;
}
