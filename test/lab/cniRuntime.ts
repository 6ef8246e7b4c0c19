import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Run, RunResult } from './run.ts';

export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

/** A plugin's part of a conflist. */
export interface PluginConf extends JsonObject {
  readonly type: string;
}

export interface Conflist {
  readonly cniVersion: string;
  readonly name: string;
  readonly disableCheck?: boolean;
  readonly disableGC?: boolean;
  readonly plugins: readonly PluginConf[];
}

export type CniCommand = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

/** One interface of one container, as a runtime names it to plugins. */
export interface Attachment {
  readonly containerId: string;
  readonly ifName: string;
  /** Empty at a DEL that comes after the namespace has gone. */
  readonly netns: string;
  readonly args: Readonly<Record<string, string>>;
  /** What `runtimeConfig` is made of, for the plugins that declare the capability. */
  readonly capabilityArgs?: JsonObject;
}

/** The result of an ADD: what all plugins of the chain agreed on. */
export interface CniResult extends JsonObject {
  readonly interfaces?: readonly { readonly name: string; readonly mac?: string; readonly sandbox?: string }[];
  readonly ips?: readonly { readonly address: string; readonly gateway?: string; readonly interface?: number }[];
}

/** A plugin's own error (CNI spec, section 5, "Error"), or code 0 if it ended without saying one. */
export class CniFailure extends Error {
  override readonly name = 'CniFailure';
  readonly command: CniCommand;
  readonly plugin: string;
  readonly code: number;
  readonly details: string;

  constructor(
    call: { readonly command: CniCommand; readonly plugin: string },
    { stdout, stderr, exitCode }: RunResult,
  ) {
    const said = parseError(stdout);
    super(`${call.plugin} failed ${call.command}: ${said?.msg ?? `exit ${exitCode}: ${(stdout + stderr).trim()}`}`);
    this.command = call.command;
    this.plugin = call.plugin;
    this.code = said?.code ?? 0;
    this.details = said?.details ?? '';
  }
}

export interface RuntimeOptions {
  /** How to run a plugin: the prefix that enters the node is already in it. */
  readonly run: Run;
  /** The directories of CNI_PATH. */
  readonly path: readonly string[];
  /** The PATH of plugins, by their type, where it is not that of `run`. */
  readonly programPaths?: Readonly<Record<string, string>>;
  /** Where results are kept between ADD and DEL. */
  readonly cacheDirectory: string;
  readonly conflist: Conflist;
}

/**
 * Runs the plugins of a conflist the way libcni does (CNI spec 1.1.0, section 3 and `libcni/api.go`): ADD in order, each plugin given the
 * result of the one before; DEL in reverse and CHECK in order, each given the cached result of the whole chain. As a container runtime does
 * it follows a failed ADD by a DEL. Unlike libcni it passes results on as they are, fields unknown to it included.
 */
export class CniRuntime {
  readonly #options: RuntimeOptions;

  constructor(options: RuntimeOptions) {
    this.#options = options;
  }

  /** Throws a `CniFailure` of the plugin that failed, after a DEL of the whole chain. */
  async add(attachment: Attachment): Promise<CniResult> {
    try {
      return await this.#add(attachment);
    } catch (error) {
      await this.del(attachment).catch(() => {}); // the first error is the one to report
      throw error;
    }
  }

  async #add(attachment: Attachment): Promise<CniResult> {
    let result: CniResult | undefined;
    for (const plugin of this.#options.conflist.plugins) {
      const config = this.#configFor(plugin, { prevResult: result, capabilityArgs: attachment.capabilityArgs });
      result = JSON.parse(await this.call('ADD', { config, attachment })) as CniResult;
    }
    if (result === undefined) throw new Error('Cannot add: the conflist has no plugins');
    this.#writeCache(attachment, result);
    return result;
  }

  /** May be repeated, with an empty `netns` too. Throws a `CniFailure` of the first plugin that failed; the others are not called then. */
  async del(attachment: Attachment): Promise<void> {
    const prevResult = isAtLeast(this.#options.conflist.cniVersion, '0.4.0') ? this.#readCache(attachment) : undefined;
    for (const plugin of this.#options.conflist.plugins.toReversed()) {
      const config = this.#configFor(plugin, { prevResult, capabilityArgs: attachment.capabilityArgs });
      await this.call('DEL', { config, attachment });
    }
    rmSync(this.#cacheFile(attachment), { force: true });
  }

  async check(attachment: Attachment): Promise<void> {
    const { cniVersion, disableCheck, plugins } = this.#options.conflist;
    if (!isAtLeast(cniVersion, '0.4.0')) throw new Error(`Cannot check: version ${cniVersion} has no CHECK`);
    if (disableCheck === true) return;
    const prevResult = this.#readCache(attachment);
    for (const plugin of plugins) {
      const config = this.#configFor(plugin, { prevResult, capabilityArgs: attachment.capabilityArgs });
      await this.call('CHECK', { config, attachment });
    }
  }

  /** Deletes what is in the cache and not in `valid`, then calls GC (from version 1.1.0 on). Throws an `AggregateError` of all that failed. */
  async gc(valid: readonly Pick<Attachment, 'containerId' | 'ifName'>[]): Promise<void> {
    const { cniVersion, disableGC, plugins } = this.#options.conflist;
    if (disableGC === true) return;
    const stale = this.#cachedAttachments().filter(
      (cached) => !valid.some((each) => each.containerId === cached.containerId && each.ifName === cached.ifName),
    );
    const failures = [...(await failuresOf(stale, (attachment) => this.del(attachment)))];
    if (isAtLeast(cniVersion, '1.1.0')) {
      const attachments = valid.map(({ containerId, ifName }) => ({ containerID: containerId, ifname: ifName }));
      // The first release of GC had the key without "valid-" (containernetworking/cni#1101); libcni sends both.
      const keys = { 'cni.dev/valid-attachments': attachments, 'cni.dev/attachments': attachments };
      failures.push(
        ...(await failuresOf(plugins, (plugin) =>
          this.call('GC', { config: { ...this.#configFor(plugin), ...keys } }),
        )),
      );
    }
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('; '));
  }

  /** Does nothing before version 1.1.0. Throws the `CniFailure` of the first plugin that is not ready. */
  async status(): Promise<void> {
    if (!isAtLeast(this.#options.conflist.cniVersion, '1.1.0')) return;
    for (const plugin of this.#options.conflist.plugins) await this.call('STATUS', { config: this.#configFor(plugin) });
  }

  /** Returns the versions that a plugin says it supports. */
  async version(type: string): Promise<readonly string[]> {
    const config = { type, cniVersion: this.#options.conflist.cniVersion };
    const answer = JSON.parse(await this.call('VERSION', { config })) as {
      readonly supportedVersions: readonly string[];
    };
    return answer.supportedVersions;
  }

  /** Runs one plugin once and returns its standard output. Without an attachment CNI_CONTAINERID and its like are empty, as libcni has it. */
  async call(
    command: CniCommand,
    { config, attachment }: { readonly config: PluginConf; readonly attachment?: Attachment },
  ): Promise<string> {
    const args = Object.entries(attachment?.args ?? {}).map(([key, value]) => `${key}=${value}`);
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: attachment?.containerId ?? '',
      CNI_NETNS: attachment?.netns ?? '',
      CNI_ARGS: args.join(';'),
      CNI_IFNAME: attachment?.ifName ?? '',
      CNI_PATH: this.#options.path.join(':'),
      ...pathVariable(this.#options.programPaths?.[config.type]),
    };
    const result = await this.#options.run([this.#find(config.type)], { env, input: JSON.stringify(config) });
    if (result.exitCode !== 0) throw new CniFailure({ command, plugin: config.type }, result);
    return result.stdout;
  }

  #find(type: string): string {
    const found = this.#options.path.map((directory) => join(directory, type)).find((path) => existsSync(path));
    if (found === undefined)
      throw new Error(`Cannot find plugin "${type}": it is not in ${this.#options.path.join(', ')}`);
    return found;
  }

  #configFor(
    plugin: PluginConf,
    injected: { readonly prevResult?: CniResult | undefined; readonly capabilityArgs?: JsonObject | undefined } = {},
  ): PluginConf {
    const { name, cniVersion } = this.#options.conflist;
    const declared = Object.entries((plugin['capabilities'] ?? {}) as JsonObject).filter(([, isWanted]) => isWanted);
    const runtimeConfig = Object.fromEntries(
      declared.flatMap(([key]) =>
        injected.capabilityArgs?.[key] === undefined ? [] : [[key, injected.capabilityArgs[key]]],
      ),
    );
    return {
      ...plugin,
      name,
      cniVersion,
      ...(injected.prevResult === undefined ? {} : { prevResult: injected.prevResult }),
      ...(Object.keys(runtimeConfig).length === 0 ? {} : { runtimeConfig }),
    };
  }

  #cacheFile({ containerId, ifName }: Pick<Attachment, 'containerId' | 'ifName'>): string {
    return join(this.#options.cacheDirectory, `${this.#options.conflist.name}-${containerId}-${ifName}`);
  }

  #writeCache(attachment: Attachment, result: CniResult): void {
    mkdirSync(this.#options.cacheDirectory, { recursive: true });
    const cached: Cached = { attachment, result };
    writeFileSync(this.#cacheFile(attachment), JSON.stringify(cached));
  }

  #readCache(attachment: Attachment): CniResult | undefined {
    const file = this.#cacheFile(attachment);
    return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Cached).result : undefined;
  }

  #cachedAttachments(): readonly Attachment[] {
    const directory = this.#options.cacheDirectory;
    const files = existsSync(directory) ? readdirSync(directory).toSorted() : [];
    return files.map((file) => (JSON.parse(readFileSync(join(directory, file), 'utf8')) as Cached).attachment);
  }
}

/** Returns the environment's part that is a PATH, or nothing of it. */
export function pathVariable(path: string | undefined): Readonly<Record<string, string>> {
  return path === undefined ? {} : { PATH: path };
}

interface Cached {
  readonly attachment: Attachment;
  readonly result: CniResult;
}

async function failuresOf<Item>(items: readonly Item[], action: (item: Item) => Promise<unknown>) {
  const failures: unknown[] = [];
  for (const item of items) await action(item).catch((error: unknown) => failures.push(error));
  return failures;
}

/** Compares dotted numbers: "1.1.0" is at least "0.4.0". */
function isAtLeast(version: string, least: string): boolean {
  const [left, right] = [version, least].map((text) => text.split('.').map(Number));
  const difference = (left ?? []).map((part, index) => part - (right?.[index] ?? 0)).find((each) => each !== 0);
  return (difference ?? 0) > 0 || difference === undefined;
}

function parseError(
  stdout: string,
): { readonly code: number; readonly msg: string; readonly details?: string } | undefined {
  try {
    const error: unknown = JSON.parse(stdout);
    return typeof error === 'object' && error !== null && 'msg' in error && 'code' in error
      ? (error as { code: number; msg: string; details?: string })
      : undefined;
  } catch {
    return undefined;
  }
}
