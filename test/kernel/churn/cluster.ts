import * as fc from 'fast-check';
import { clusterManifests } from '../../helpers/arbitraries.ts';
import { namespace, pod as podManifest, policy, type LabelsManifest, type Manifest } from '../../helpers/manifests.ts';
import { Random } from './random.ts';

/** Who stores the objects. */
interface Store {
  put(manifest: Manifest): unknown;
  delete(kind: string, key: string): void;
}

/** A pod of the node that is looked at: its addresses and its end are for the runtime to tell. */
export interface OwnPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

interface ChurnedPod {
  readonly namespaceName: string;
  readonly uid: string;
  readonly nodeName: string;
  readonly hostNetwork: boolean;
  readonly labels: LabelsManifest;
  readonly phase: string;
  readonly addresses: readonly string[];
}

export const OWN_NODE = 'node-1';

/** How many of each there are whenever everything has settled. */
const SIZES = { namespaces: 10, pods: 150, policies: 30 };
/** So many more or fewer there are meanwhile. */
const SWAY = 5;
/** After so many events nobody uses a label any more that was in use before. */
const FASHION = 1000;
const GENERATED_CLUSTERS = 200;
const RUNNING = { phase: 'Running' } as const;
const PORTS = [
  { name: 'web', containerPort: 80 },
  { name: 'web', containerPort: 8080 },
  { name: 'dns', protocol: 'UDP', containerPort: 53 },
] as const;

/**
 * A cluster in which everything comes and goes and nothing grows. No name of an object comes twice, and labels go out of use; addresses come again as
 * soon as they are free. Its policies are what somebody might write, in every variant.
 */
export class ChurnedCluster {
  /** How many events there were. */
  events = 0;
  readonly #store: Store;
  readonly #random: Random;
  readonly #specs: readonly string[];
  readonly #namespaces = new Set<string>();
  readonly #pods = new Map<string, ChurnedPod>();
  readonly #policies = new Set<string>();
  /** Pods of other nodes that have no address yet. */
  readonly #starting = new Set<string>();
  readonly #freeAddresses = Array.from({ length: SIZES.pods * 2 }, (_, index) => addressesOf(index + 1));
  #names = 0;

  constructor(store: Store, seed: number) {
    this.#store = store;
    this.#random = new Random(seed);
    this.#specs = fc
      .sample(clusterManifests, { numRuns: GENERATED_CLUSTERS, seed })
      .flat()
      .filter(({ kind }) => kind === 'NetworkPolicy')
      .map(({ spec }) => JSON.stringify(spec));
  }

  /** Something happens. */
  step(): void {
    if (this.#starting.size > this.#random.below(SWAY)) return this.#publishOne();
    const random = this.#random.below(100);
    if (random < 30) return this.#podComesOrGoes();
    if (random < 55) return this.#podIsRelabelled();
    if (random < 60) return this.#podFinishes();
    if (random < 65) return this.#podMoves();
    if (random < 70) return this.#relabelNamespace(this.#random.oneOf([...this.#namespaces]));
    if (random < 71) return this.#namespaceComesOrGoes();
    if (random < 85) return this.#policyComesOrGoes();
    return this.#writePolicy(this.#random.oneOf([...this.#policies]));
  }

  /** Makes as many objects as there are in a settled cluster, all pods with addresses. */
  settle(): void {
    while (this.#namespaces.size > SIZES.namespaces && this.#deleteNamespace());
    while (this.#namespaces.size < SIZES.namespaces) this.#relabelNamespace(this.#name('ns'));
    while (this.#starting.size > 0) this.#publishOne();
    while (this.#others().length > SIZES.pods) this.#deletePod(this.#random.oneOf(this.#others()));
    while (this.#others().length < SIZES.pods) this.#createPod();
    while (this.#starting.size > 0) this.#publishOne();
    while (this.#policies.size > SIZES.policies) this.#deletePolicy(this.#random.oneOf([...this.#policies]));
    while (this.#policies.size < SIZES.policies) this.#createPolicy();
  }

  /** Deletes everything. */
  clear(): void {
    for (const key of this.#pods.keys()) this.#deletePod(key);
    for (const key of this.#policies) this.#deletePolicy(key);
    while (this.#deleteNamespace());
  }

  /** The scheduler gives the node that is looked at a pod. */
  schedule(): OwnPod {
    const name = this.#name('own');
    const namespaceName = this.#random.oneOf([...this.#namespaces]);
    const uid = `uid-${name}`;
    const pending = { phase: 'Pending', addresses: [], hostNetwork: false, labels: this.#labels() };
    this.#putPod(`${namespaceName}/${name}`, { namespaceName, uid, nodeName: OWN_NODE, ...pending });
    return { namespace: namespaceName, name, uid };
  }

  /** The kubelet tells how such a pod is. */
  tell(own: OwnPod, status: Pick<ChurnedPod, 'phase' | 'addresses'>): void {
    const key = `${own.namespace}/${own.name}`;
    this.#putPod(key, { ...this.#pod(key), ...status });
  }

  deleteOwn(own: OwnPod): void {
    this.#deletePod(`${own.namespace}/${own.name}`);
  }

  #podComesOrGoes(): void {
    if (this.#isBelow(this.#others().length, SIZES.pods)) this.#createPod();
    else this.#deletePod(this.#random.oneOf(this.#others()));
  }

  #createPod(): void {
    const namespaceName = this.#random.oneOf([...this.#namespaces]);
    const name = this.#name('pod');
    const key = `${namespaceName}/${name}`;
    const pending = { phase: 'Pending', addresses: [], hostNetwork: this.#random.once(20), labels: this.#labels() };
    this.#starting.add(key);
    this.#putPod(key, { namespaceName, uid: `uid-${name}`, nodeName: 'node-2', ...pending });
  }

  #publishOne(): void {
    const [key] = this.#starting;
    if (key === undefined) return;
    this.#starting.delete(key);
    const { hostNetwork, ...rest } = this.#pod(key);
    const addresses = hostNetwork ? ['192.168.0.2'] : this.#freshAddresses();
    this.#putPod(key, { ...rest, hostNetwork, ...RUNNING, addresses });
  }

  #podIsRelabelled(): void {
    const key = this.#random.oneOf([...this.#pods.keys()]);
    this.#putPod(key, { ...this.#pod(key), labels: this.#labels() });
  }

  /** It keeps its object with the address, which is the next one's already. */
  #podFinishes(): void {
    const key = this.#random.oneOf(this.#running());
    this.#free(this.#pod(key));
    this.#putPod(key, { ...this.#pod(key), phase: this.#random.oneOf(['Succeeded', 'Failed']) });
  }

  #podMoves(): void {
    const key = this.#random.oneOf(this.#running());
    const addresses = this.#freshAddresses();
    this.#free(this.#pod(key));
    this.#putPod(key, { ...this.#pod(key), addresses });
  }

  #deletePod(key: string): void {
    const pod = this.#pod(key);
    if (pod.phase === 'Running') this.#free(pod);
    this.#starting.delete(key);
    this.#pods.delete(key);
    this.#delete('Pod', key);
  }

  #namespaceComesOrGoes(): void {
    if (this.#isBelow(this.#namespaces.size, SIZES.namespaces)) this.#relabelNamespace(this.#name('ns'));
    else this.#deleteNamespace();
  }

  #relabelNamespace(name: string): void {
    this.#namespaces.add(name);
    const labels = { ...this.#labels(), 'kubernetes.io/metadata.name': name };
    this.#put(namespace(name, labels));
  }

  /** Deletes one with all that is in it, if there is one without pods of the node that is looked at. */
  #deleteNamespace(): boolean {
    const taken = new Set([...this.#pods.values()].filter(isOwn).map(({ namespaceName }) => namespaceName));
    const name = [...this.#namespaces].find((candidate) => !taken.has(candidate));
    if (name === undefined) return false;
    const isIn = (key: string) => key.startsWith(`${name}/`);
    for (const key of [...this.#pods.keys()].filter(isIn)) this.#deletePod(key);
    for (const key of [...this.#policies].filter(isIn)) this.#deletePolicy(key);
    this.#namespaces.delete(name);
    this.#delete('Namespace', name);
    return true;
  }

  #policyComesOrGoes(): void {
    if (this.#isBelow(this.#policies.size, SIZES.policies)) this.#createPolicy();
    else this.#deletePolicy(this.#random.oneOf([...this.#policies]));
  }

  #createPolicy(): void {
    this.#writePolicy(`${this.#random.oneOf([...this.#namespaces])}/${this.#name('policy')}`);
  }

  #writePolicy(key: string): void {
    this.#policies.add(key);
    const text = this.#random.oneOf(this.#specs);
    const spec = text
      .replaceAll(/"(?:x|y)"/g, (value) => `"${this.#fashionable(value.slice(1, -1))}"`)
      .replaceAll(/"(?:alpha|beta|gamma|delta)"/g, () => `"${this.#random.oneOf([...this.#namespaces])}"`);
    this.#put(policy(key, JSON.parse(spec) as Manifest));
  }

  #deletePolicy(key: string): void {
    this.#policies.delete(key);
    this.#delete('NetworkPolicy', key);
  }

  #labels(): LabelsManifest {
    const values = ['', this.#fashionable('x'), this.#fashionable('y')];
    return Object.fromEntries(
      ['app', 'tier'].flatMap((key) => (this.#random.once(4) ? [] : [[key, this.#random.oneOf(values)]])),
    );
  }

  #fashionable(value: string): string {
    return `${value}-${Math.floor(this.events / FASHION)}`;
  }

  #freshAddresses(): readonly string[] {
    const addresses = this.#freeAddresses.pop();
    if (addresses === undefined) throw new Error('Cannot start a pod: no address is free');
    return addresses;
  }

  #free({ nodeName, hostNetwork, addresses }: ChurnedPod): void {
    if (nodeName !== OWN_NODE && !hostNetwork) this.#freeAddresses.push(addresses);
  }

  #others(): readonly string[] {
    return [...this.#pods].filter(([, each]) => !isOwn(each)).map(([key]) => key);
  }

  #running(): readonly string[] {
    return this.#others().filter((key) => {
      const { phase, hostNetwork } = this.#pod(key);
      return phase === 'Running' && !hostNetwork;
    });
  }

  #isBelow(count: number, size: number): boolean {
    return count < size - SWAY + this.#random.below(2 * SWAY);
  }

  #name(kind: string): string {
    return `${kind}-${(this.#names += 1)}`;
  }

  #pod(key: string): ChurnedPod {
    const found = this.#pods.get(key);
    if (found === undefined) throw new Error(`Cannot change pod "${key}": there is none`);
    return found;
  }

  #putPod(key: string, facts: ChurnedPod): void {
    this.#pods.set(key, facts);
    const { uid } = facts;
    const manifest = podManifest(key, { ...facts, ports: PORTS.slice(0, this.events % 4) });
    this.#put({ ...manifest, metadata: { ...(manifest['metadata'] as Manifest), uid } });
  }

  #put(manifest: Manifest): void {
    this.events += 1;
    this.#store.put(manifest);
  }

  #delete(kind: string, key: string): void {
    this.events += 1;
    this.#store.delete(kind, key);
  }
}

function addressesOf(host: number): readonly string[] {
  return [`10.244.${2 + (host >> 7)}.${host & 127}`, `fd00:10:244:2::${host.toString(16)}`];
}

function isOwn({ nodeName }: ChurnedPod): boolean {
  return nodeName === OWN_NODE;
}
