import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readFileIfAny } from '../files/readIfAny.ts';

/** The interfaces of the network namespace that this process runs in. */
export class NodeLinks {
  readonly #root: string;
  readonly #names: ReadonlySet<string>;
  readonly #sysIsOurs: boolean;

  /** `root` is where `/proc` and `/sys` are; tests put others in their place. Throws the file system's error. */
  constructor(root = '') {
    this.#root = root;
    this.#names = new Set(namesIn(readFileSync(`${root}/proc/net/dev`, 'utf8')));
    this.#sysIsOurs = isSame(this.#names, sysNames(`${root}/sys/class/net`));
  }

  /**
   * Tells whether `/sys` shows this namespace. A sysfs shows the one that it was mounted in: who enters a network namespace alone
   * (`nsenter -n`) still sees another's. `/proc/net` always is the process's own.
   */
  get sysIsOurs(): boolean {
    return this.#sysIsOurs;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** Tells whether an interface is a bridge; only where `/sys` shows this namespace. */
  isBridge(name: string): boolean {
    return readFileIfAny(`${this.#sys(name)}/bridge/stp_state`) !== undefined;
  }

  /** Tells whether an interface is a port of a bridge; only where `/sys` shows this namespace. */
  isBridgePort(name: string): boolean {
    return readFileIfAny(`${this.#sys(name)}/brport/state`) !== undefined;
  }

  /**
   * Returns the interface that a host route to the address leads to, or `undefined`; an interface that other routes use too belongs to
   * more than one pod.
   */
  routeTo(address: string): string | undefined {
    const routes = address.includes(':') ? this.#ipv6Routes() : this.#ipv4Routes();
    const hex = address.includes(':') ? ipv6Hex(address) : ipv4Hex(address);
    const name = routes.find(({ destination, isHost }) => isHost && destination === hex)?.name;
    const shared = routes.filter((route) => route.name === name).some(({ destination }) => destination !== hex);
    return shared ? undefined : name;
  }

  /** Takes the interface down, and tells whether that could be done here. */
  setDown(name: string): boolean {
    if (!this.#sysIsOurs || !this.has(name)) return false;
    const file = `${this.#sys(name)}/flags`;
    try {
      const flags = Number(readFileSync(file, 'utf8'));
      writeFileSync(file, `0x${(flags & ~IFF_UP).toString(16)}`);
      return true;
    } catch {
      // Where a container has /sys, it is often mounted read-only.
      return false;
    }
  }

  /** Interface, destination, gateway, flags, references, uses, metric, mask. */
  #ipv4Routes(): readonly Route[] {
    return this.#routes('route').map(([name = '', destination = '', , , , , , mask]) => ({
      name,
      destination,
      isHost: mask === 'FFFFFFFF',
    }));
  }

  /** Destination, prefix length, source, its length, gateway, metric, references, uses, flags, interface. */
  #ipv6Routes(): readonly Route[] {
    const routes = this.#routes('ipv6_route').map(([destination = '', length, , , , , , , flags = '', name = '']) => ({
      name,
      destination,
      isHost: length === '80',
      flags: Number.parseInt(flags, 16),
    }));
    // The node's own addresses, and what every interface has: link-local addresses and multicast.
    return routes.filter(({ flags, destination }) => flags < RTF_LOCAL && !/^f(?:e80|f)/.test(destination));
  }

  #routes(file: string): readonly (readonly string[])[] {
    const lines = (readFileIfAny(`${this.#root}/proc/net/${file}`) ?? '').split('\n');
    return lines.map((line) => line.trim().split(/\s+/));
  }

  #sys(name: string): string {
    return `${this.#root}/sys/class/net/${name}`;
  }
}

const IFF_UP = 1;
const RTF_LOCAL = 0x80000000;

interface Route {
  readonly name: string;
  readonly destination: string;
  /** Whether it leads to a single address. */
  readonly isHost: boolean;
}

/** `/proc/net/dev` has two lines of heading, then `name: counters`. */
function namesIn(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => /^\s*(\S+):/.exec(line)?.[1] ?? []);
}

function sysNames(directory: string): ReadonlySet<string> {
  try {
    // Interfaces are links; the bonding driver puts a file beside them.
    return new Set(
      readdirSync(directory, { withFileTypes: true }).flatMap((entry) => (entry.isSymbolicLink() ? [entry.name] : [])),
    );
  } catch {
    return new Set();
  }
}

function isSame(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && a.isSubsetOf(b);
}

/** `/proc/net/route` prints addresses as the number that a little-endian machine reads in them. */
function ipv4Hex(address: string): string {
  return address
    .split('.')
    .map((byte) => Number(byte).toString(16).padStart(2, '0'))
    .toReversed()
    .join('')
    .toUpperCase();
}

function ipv6Hex(address: string): string {
  const [head = [], tail] = address.split('::').map((half) => half.split(':').filter((group) => group !== ''));
  const zeros = tail === undefined ? [] : Array<string>(8 - head.length - tail.length).fill('0');
  return [...head, ...zeros, ...(tail ?? [])].map((group) => group.padStart(4, '0')).join('');
}
