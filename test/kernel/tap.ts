import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../lab/probe.ts';
import { output, type Run } from '../lab/run.ts';

/** Returns the text by which taps tell a frame that carries it. */
export function noteOf(name: string): string {
  return `note:${name};`;
}

// packet(7): AF_PACKET is 17, ETH_P_ALL 3, PACKET_OUTGOING 4; struct sockaddr_ll.
const ADDRESS = `sub at { pack('S n l S C C a8', 17, $_[0], $_[1], 0, 0, 6, '') }`;
const LISTEN = `use Socket; $| = 1; ${ADDRESS}
  socket(my $socket, 17, SOCK_RAW, 0) or die "socket: $!";
  bind($socket, at(3, $ARGV[0])) or die "bind: $!";
  print "ready\\n";
  while (my $from = recv($socket, my $frame, 65536, 0)) {
    next if (unpack('S n l S C C', $from))[4] == 4;
    print "$1\\n" if $frame =~ /note:([^;]+);/;
  }`;
const SEND = `use Socket; ${ADDRESS}
  socket(my $socket, 17, SOCK_RAW, 0) or die "socket: $!";
  while (<STDIN>) { chomp; defined(send($socket, pack('H*', $_), 0, at(0, $ARGV[0]))) or die "send: $!" }`;

/** Notes the frames that come in at an interface, before anything there has looked at them. */
export class Tap {
  readonly #file: string;

  private constructor(file: string) {
    this.#file = file;
  }

  /** Starts to note what comes in at `device`; `file` is where, as this process and the lab's see it. */
  static async start(run: Run, { device, file }: { readonly device: string; readonly file: string }): Promise<Tap> {
    const index = await indexOf(run, device);
    writeFileSync(file, '');
    await output(run, ['sh', '-c', 'perl -e "$0" "$1" >"$2" 2>&1 &', LISTEN, index, file]);
    const tap = new Tap(file);
    await tap.waitFor('ready');
    return tap;
  }

  /** The names of the frames that have come in. */
  get names(): ReadonlySet<string> {
    return new Set(this.#text().split('\n'));
  }

  /** Waits until a frame of this name has come in. */
  async waitFor(name: string): Promise<void> {
    for (const deadline = monotonicMs() + 10_000; !this.names.has(name); await sleep(10))
      if (monotonicMs() > deadline)
        throw new Error(`Waited in vain for the frame "${name}"; what came in: ${this.#text()}`);
  }

  #text(): string {
    return readFileSync(this.#file, 'utf8');
  }
}

/** Sends frames, in this order, out of a pod's interface. All are sent on one processor: what two send may come in the other way round. */
export async function sendFrames(run: Run, frames: readonly Buffer[]): Promise<void> {
  const input = frames.map((frame) => `${frame.toString('hex')}\n`).join('');
  const argv = ['taskset', '--cpu-list', oneProcessor(), 'perl', '-e', SEND, await indexOf(run, 'eth0')];
  await output(run, argv, { input });
}

function oneProcessor(): string {
  const status = readFileSync('/proc/self/status', 'utf8');
  return /^Cpus_allowed_list:\s*(\d+)/m.exec(status)?.[1] ?? '0';
}

async function indexOf(run: Run, device: string): Promise<string> {
  const line = await output(run, ['ip', '-o', 'link', 'show', 'dev', device]);
  return /^\d+/.exec(line)?.[0] ?? '';
}
