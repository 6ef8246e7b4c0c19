import { setTimeout as sleep } from 'node:timers/promises';
import type { LabPod } from '../lab/pod.ts';
import { monotonicMs, type OpenStream, type RunningHammer } from '../lab/probe.ts';

export const ALLOWED_PORT = 80;
export const FORBIDDEN_PORT = 81;

/** What a client sends a server all the time: flows that last and new ones, over what is allowed and what is not. */
export class Traffic {
  readonly #server: LabPod;
  readonly #allowed: readonly RunningHammer[];
  readonly #forbidden: readonly RunningHammer[];
  readonly #streams: readonly OpenStream[];

  private constructor(
    server: LabPod,
    parts: {
      readonly allowed: readonly RunningHammer[];
      readonly forbidden: readonly RunningHammer[];
      readonly streams: readonly OpenStream[];
    },
  ) {
    this.#server = server;
    this.#allowed = parts.allowed;
    this.#forbidden = parts.forbidden;
    this.#streams = parts.streams;
  }

  static async start(client: LabPod, server: LabPod): Promise<Traffic> {
    const hammers = async (port: number) => {
      const started = server.addresses.flatMap((address, family) => [
        client.probe.hammer({ address, port, protocol: 'TCP' }, { intervalMs: 20 }),
        client.probe.hammer(
          { address, port, protocol: 'UDP' },
          { intervalMs: 20, sourcePort: 4000 + port * 2 + family },
        ),
      ]);
      return Promise.all(started);
    };
    await server.probe.forgetArrivals();
    return new Traffic(server, {
      allowed: await hammers(ALLOWED_PORT),
      forbidden: await hammers(FORBIDDEN_PORT),
      streams: await openStreams(client, server),
    });
  }

  /** Ends it and returns what was lost of the allowed and what came in of the forbidden, a line each. */
  async wrongs(): Promise<readonly string[]> {
    // What was sent last may still be under way.
    const last = monotonicMs();
    await sleep(500);
    const states = await Promise.all(this.#streams.map(async (stream) => stream.state()));
    const ended = states.flatMap((state, index) =>
      state.ended === undefined && state.lastReceivedAt >= last
        ? []
        : [`stream ${index} ended: ${state.ended?.how ?? 'stalled'}`],
    );
    const attempts = (await Promise.all(this.#allowed.map(async (hammer) => hammer.stop()))).flat();
    const lost = attempts.filter(({ startedAt, outcome }) => startedAt < last && outcome !== 'open');
    const tried = await Promise.all(this.#forbidden.map(async (hammer) => hammer.stop()));
    const arrived = (await this.#server.probe.arrivals()).filter(({ port }) => port === FORBIDDEN_PORT);
    return [
      ...ended,
      ...lost.map(({ outcome, error }) => `an allowed packet was lost: ${outcome} ${error ?? ''}`),
      ...arrived.map(({ protocol, from }) => `forbidden ${protocol} came in from ${from}`),
      ...([...tried, attempts].every(({ length }) => length > 25) ? [] : ['the hammers hardly tried']),
    ];
  }
}

/** Opens a TCP and a UDP stream in which only the server has anything to say. */
export async function openStreams(from: LabPod, to: LabPod): Promise<readonly OpenStream[]> {
  const target = { address: to.addresses[0] ?? '', port: ALLOWED_PORT };
  return [
    await from.probe.openStream({ ...target, protocol: 'TCP' }, { kind: 'download', intervalMs: 10 }),
    await from.probe.openStream({ ...target, protocol: 'UDP' }, { kind: 'download', intervalMs: 10 }),
  ];
}
