import { IP_FAMILIES, familyOf, type IpFamily } from '../../net/family.ts';
import type { AttachmentId, PodHooks, PodJudgements } from '../../rules/pod.ts';
import { CommandError } from '../commandError.ts';
import type { Hooking, PodKernel, Warn } from '../podKernel.ts';
import { ToolMissingError } from '../toolMissing.ts';
import type { Environment } from '../tools.ts';
import { isBusy } from './errors.ts';
import { hookInTables, type Way } from './hookIn.ts';
import { missingInTable } from './missing.ts';
import { findTable, restoreCommand, type IptablesVariant, type Table } from './sync.ts';
import { unhookFamily } from './unhook.ts';

interface Options {
  readonly env: Environment;
  readonly warn: Warn;
}

/** One pod in the filter tables of iptables, one transaction a family. */
export class IptablesPodKernel implements PodKernel {
  readonly #backend: IptablesVariant;
  readonly #options: Options;
  readonly #tables: ReadonlyMap<IpFamily, Table>;
  /** The families in which `hookIn` has written something. */
  readonly #hooked = new Set<IpFamily>();

  constructor(backend: IptablesVariant, options: Options) {
    const { env } = options;
    this.#backend = backend;
    this.#options = options;
    this.#tables = new Map(
      IP_FAMILIES.flatMap((family) => {
        const table = findTable(family, { backend, env });
        return table === undefined ? [] : [[family, table] as const];
      }),
    );
  }

  require(addresses: readonly string[]): void {
    const absent = familiesOf(addresses).find((family) => !this.#tables.has(family));
    if (absent !== undefined) throw this.#toolMissing('write rules', absent);
  }

  hookIn(hooking: Hooking): PodJudgements {
    const families = familiesOf(hooking.hooks.addresses);
    const judgements = this.#hookInto(families, hooking);
    // A live agent locks the family without an address by itself, before it acknowledges.
    if (!hooking.agent || hooking.again) this.#lockOthers(families, hooking);
    return judgements;
  }

  #hookInto(families: readonly IpFamily[], { hooks, judge, claimMark, ...rest }: Hooking): PodJudgements {
    return hookInTables({
      tables: families.flatMap((family) => this.#tables.get(family) ?? []),
      ways: families.every((family) => this.#hooked.has(family)) ? REPLACING : waysOf(rest),
      hooks,
      judge,
      claimMark,
      hooked: this.#hooked,
    });
  }

  /** Link-local addresses must not be a way around a pod's policies. */
  #lockOthers(families: readonly IpFamily[], hooking: Hooking): void {
    for (const family of this.#tables.keys()) {
      if (families.includes(family)) continue;
      try {
        this.#hookInto([family], hooking);
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        const { containerId, ifName } = hooking.hooks;
        const reason = error.message;
        this.#options.warn('Cannot lock the family that the pod has no address in', {
          containerId,
          ifName,
          family,
          reason,
        });
      }
    }
  }

  /**
   * A family that the pod has no address in, and a pod that nothing is known of, are given up with a warning where the kernel refuses for good:
   * nothing, or next to nothing, is there to be forgotten.
   */
  takeOut(
    id: AttachmentId,
    { hooks, settled }: { readonly hooks: PodHooks | undefined; readonly settled: boolean },
  ): void {
    const addressed = familiesOf(hooks?.addresses ?? []);
    for (const family of IP_FAMILIES) {
      const table = this.#tables.get(family);
      const isAddressed = addressed.includes(family);
      if (table === undefined && isAddressed) throw this.#toolMissing("take the pod's rules out", family);
      if (table === undefined) continue;
      try {
        unhookFamily(table, { id, hooks, settled });
      } catch (error) {
        if (!(error instanceof CommandError) || isAddressed || isBusy(error)) throw error;
        const { containerId, ifName } = id;
        const reason = error.message;
        this.#options.warn('Cannot look for rules of a gone pod', { containerId, ifName, family, reason });
      }
    }
  }

  undo({ hooks, again }: Pick<Hooking, 'hooks' | 'again'>): void {
    for (const family of again ? IP_FAMILIES : this.#hooked) {
      const table = this.#tables.get(family);
      if (table !== undefined) unhookFamily(table, { id: hooks, hooks: undefined, settled: false });
    }
  }

  missing(hooks: PodHooks, options: Parameters<PodKernel['missing']>[1]): readonly string[] {
    return familiesOf(hooks.addresses).flatMap((family) =>
      missingInTable(this.#tables.get(family), { ...options, family, hooks }),
    );
  }

  #toolMissing(what: string, family: IpFamily): ToolMissingError {
    const { env } = this.#options;
    return new ToolMissingError(what, { program: restoreCommand(family, this.#backend), install: 'iptables', env });
  }
}

const REPLACING: readonly Way[] = ['trust', 'mend', 'mend', 'mend'];

function waysOf({ agent, again }: Pick<Hooking, 'agent' | 'again'>): readonly Way[] {
  if (again) return ['mend', 'mend', 'mend', 'mend', 'mend', 'mend'];
  return agent
    ? ['trust', 'trust', 'mend', 'mend', 'mend', 'mend']
    : ['confirm', 'found', 'mend', 'mend', 'mend', 'mend', 'mend'];
}

function familiesOf(addresses: readonly string[]): readonly IpFamily[] {
  return IP_FAMILIES.filter((family) => addresses.some((address) => familyOf(address) === family));
}
