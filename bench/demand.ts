import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { apiServerSource } from '../src/source/api/apiServerSource.ts';
import { ApiConnection, type ApiRequest } from '../src/source/api/connection.ts';
import { ApiDouble } from '../test/helpers/apiDouble.ts';
import { policy } from './madeUp.ts';
import type { BenchOptions } from './part.ts';
import type { Report, Row } from './report.ts';
import { changesIn, NODE, tenantCluster, type TenantClusterSize } from './tenantCluster.ts';

/** What an agent follows, and what policies of its pods name beside what all policies do. */
interface Mix {
  readonly name: string;
  readonly pods: 'all' | 'needed';
  readonly more?: Readonly<Record<string, unknown>>;
}

const API_PODS = { matchLabels: { app: 'api' } };

const MIXES: readonly Mix[] = [
  { name: 'all pods', pods: 'all' },
  { name: 'needed pods', pods: 'needed' },
  {
    name: 'needed pods, a label in the 50 namespaces of a team among them',
    pods: 'needed',
    more: { ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 't0' } }, podSelector: API_PODS }] }] },
  },
  {
    name: 'needed pods, a label in every namespace among them',
    pods: 'needed',
    more: { ingress: [{ from: [{ namespaceSelector: {}, podSelector: API_PODS }] }] },
  },
  {
    name: 'needed pods, where a port of anybody is named',
    pods: 'needed',
    more: { policyTypes: ['Egress'], egress: [{ ports: [{ port: 'http' }] }] },
  },
];

const NOTES = [
  'Bytes that one agent receives of an API server in memory, not compressed (an agent asks for no compression), without TLS and without bookmarks. A Pod object has about 5 kB, as one of a real cluster.',
  'A node has 27 pods of applications and 3 of DaemonSets in kube-system; the measured node has them in 12 namespaces. Each namespace has two policies: its pods may talk to each other and to the DNS servers, and its web pods are reached from the ingress controller and from Prometheus, which have namespaces of their own.',
  'An hour: 1 % of the pods is replaced one by one, and 100 rollouts replace 20 pods of a namespace each; for a replacement a Pod object changes six times. Other changes of pods come on top, in every case alike.',
];

/** What an agent receives of a large cluster's API server: of the pods that its node needs to know, and of all pods. */
export async function demand({ full, say }: BenchOptions): Promise<Report> {
  const size = full ? { nodes: 5000, namespaces: 5000 } : { nodes: 500, namespaces: 500 };
  await using api = await ApiDouble.start();
  say(`making the pods of ${size.nodes} nodes`);
  for (const object of tenantCluster(size)) api.put(object);
  api.compact();
  const rows: Row[] = [];
  const notes = [`${size.nodes} nodes with 30 pods each, ${size.namespaces} namespaces.`, ...NOTES];
  for (const [hour, mix] of MIXES.entries()) {
    say(mix.name);
    const { watches, known, received } = await measure(api, { size, mix, hour });
    notes.push(`${mix.name}: ${watches} watches, ${known} pods known.`);
    for (const [what, bytes] of Object.entries(received)) {
      const against = rows.find((row) => row.what === what);
      rows.push({
        what,
        case: mix.name,
        unit: 'MB',
        samples: [bytes / 1e6],
        ...(against !== undefined && { against }),
      });
    }
  }
  return { rows, notes };
}

interface Measured {
  readonly watches: number;
  readonly known: number;
  /** Bytes, by what they are for. */
  readonly received: Readonly<Record<string, number>>;
}

async function measure(
  api: ApiDouble,
  { size, mix, hour }: { readonly size: TenantClusterSize; readonly mix: Mix; readonly hour: number },
): Promise<Measured> {
  const more = policy('more', { podSelector: {}, ...mix.more }, 'ns-0');
  if (mix.more !== undefined) api.put(more);
  const connection = new CountingConnection(api.url);
  const source = apiServerSource({ connection, nodeName: NODE, pods: mix.pods, shareAddresses: false, warn: () => {} });
  await source.start(() => {});
  while (!source.state().inSync) await sleep(20);
  const known = source.state().cluster.pods.size;
  const listed = connection.received();
  for (const [index, change] of [...changesIn(hour, size)].entries()) {
    change(api);
    // The agent is to keep up, as over an hour it does.
    if (index % 10 === 0) await sleep(1);
  }
  await sleep(3000);
  const changed = connection.received();
  const watches = api.watches();
  await source.stop();
  if (mix.more !== undefined) api.delete('NetworkPolicy', 'ns-0/more');
  api.compact();
  return {
    watches,
    known,
    received: {
      'first lists': listed.all,
      'first lists, pods alone': listed.pods,
      'an hour of changes': changed.all - listed.all,
    },
  };
}

/** A connection that knows how many bytes have come in. */
class CountingConnection extends ApiConnection {
  readonly #sockets = new Map<Socket, string>();

  constructor(url: string) {
    super(url, {
      apply: async (options) => {
        options.agent = false;
        return Promise.resolve();
      },
      refresh: () => {},
    });
  }

  override async send(request: ApiRequest): Promise<IncomingMessage> {
    const response = await super.send(request);
    this.#sockets.set(response.socket, request.path);
    return response;
  }

  /** Returns the bytes of all answers so far, and of those that are about pods. */
  received(): { readonly all: number; readonly pods: number } {
    const sum = (sockets: Iterable<readonly [Socket, string]>) =>
      [...sockets].reduce((total, [{ bytesRead }]) => total + bytesRead, 0);
    return { all: sum(this.#sockets), pods: sum([...this.#sockets].filter(([, path]) => path.includes('/pods?'))) };
  }
}
