import { existsSync } from 'node:fs';
import type { Backend } from '../dataplane/backend.ts';
import { readFileIfAny } from '../files/readIfAny.ts';
import type { ExaminedNode } from './examined.ts';
import { Findings, type Finding } from './finding.ts';

const findings = new Findings('modules');

/** What our rules are made of, by backend. */
const NEEDED: Readonly<Record<Backend, readonly string[]>> = {
  nftables: ['nf_tables', 'nf_conntrack', 'nft_ct', 'nft_fib', 'nft_reject', 'nf_tables_bridge'],
  'iptables-nft': ['nf_tables', 'nft_compat'],
  'iptables-legacy': ['ip_tables', 'iptable_filter'],
};
const NEEDED_BY_IPTABLES = [
  'nf_conntrack',
  'ip_set',
  'ip_set_hash_ip',
  'ip_set_hash_ipport',
  'ip_set_hash_net',
  'xt_set',
  'xt_conntrack',
  'xt_connmark',
  'xt_physdev',
  'xt_addrtype',
  'xt_comment',
  'xt_multiport',
  'ipt_REJECT',
];

/** The kernel has what our rules are made of, loaded, built in or to be loaded when it is asked for. */
export function checkModules({ backend, root }: ExaminedNode): readonly Finding[] {
  if (backend === undefined) return [];
  const needed = [...NEEDED[backend], ...(backend === 'nftables' ? [] : NEEDED_BY_IPTABLES)];
  const kernel = new KernelModules(root);
  const missing = needed.filter((name) => !kernel.has(name));
  if (missing.length === 0) return [findings.ok(`The kernel (${kernel.release}) has what ${backend} needs`)];
  if (!kernel.isKnown)
    return [
      findings.unknown(
        `Cannot tell whether this kernel (${kernel.release}) has ${missing.join(', ')}: there is no /lib/modules/${kernel.release}`,
        'look on the node itself; a container needs /lib/modules mounted',
      ),
    ];
  return [
    findings.problem(
      `The kernel (${kernel.release}) has no ${missing.join(', ')}, which ${backend} needs`,
      `install the package with the kernel's other modules (linux-modules-extra, kernel-modules-extra), or choose another backend`,
    ),
  ];
}

const REGISTERED = ['ip_tables_matches', 'ip_tables_targets'];

function linesIn(path: string): readonly string[] {
  try {
    return (readFileIfAny(path) ?? '').split('\n').filter((line) => line !== '');
  } catch {
    // Only root may see them.
    return [];
  }
}

/** What is known of a kernel's modules. */
class KernelModules {
  readonly release: string;
  readonly #root: string;
  readonly #listed: ReadonlySet<string> | undefined;
  /** The matches and targets that iptables may use already. */
  readonly #registered: ReadonlySet<string>;

  constructor(root: string) {
    this.#root = root;
    this.release = readFileIfAny(`${root}/proc/sys/kernel/osrelease`)?.trim() ?? 'unknown';
    const lists = ['modules.dep', 'modules.builtin'].map((name) =>
      readFileIfAny(`${root}/lib/modules/${this.release}/${name}`),
    );
    const isComplete = lists.every((list) => list !== undefined);
    this.#registered = new Set(REGISTERED.flatMap((name) => linesIn(`${root}/proc/net/${name}`)));
    this.#listed = isComplete ? new Set(lists.join('\n').split('\n').flatMap(moduleName)) : undefined;
  }

  /** Whether it can be told of a module that the kernel has not got it. */
  get isKnown(): boolean {
    return this.#listed !== undefined;
  }

  has(name: string): boolean {
    return (
      this.#listed?.has(name) === true ||
      existsSync(`${this.#root}/sys/module/${name}`) ||
      this.#registered.has(name.replace(/^(?:xt|ipt)_/, '')) ||
      this.#isPart(name)
    );
  }

  /** These are parts of others in some kernels, and modules of their own in others. */
  #isPart(name: string): boolean {
    const part = PARTS[name];
    return part !== undefined && part.some((other) => this.#listed?.has(other) === true);
  }
}

const PARTS: Readonly<Record<string, readonly string[]>> = {
  // Since Linux 4.18 the families of nf_tables are built into it.
  nf_tables_bridge: ['nf_tables'],
  nft_ct: ['nf_tables'],
  nft_fib: ['nft_fib_inet', 'nft_fib_ipv4'],
  nft_reject: ['nft_reject_inet'],
};

/** A line of modules.dep is `kernel/net/netfilter/xt_set.ko.zst: what it needs`. */
function moduleName(line: string): readonly string[] {
  const name = /([^/]+)\.ko(?:\.\w+)?(?::|$)/.exec(line)?.[1];
  return name === undefined ? [] : [name.replaceAll('-', '_')];
}
