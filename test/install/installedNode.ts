import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { cleanConfDir } from '../../src/install/cleanup.ts';
import { InstalledExecutable } from '../../src/install/executable.ts';
import { install, type InstallOptions } from '../../src/install/install.ts';
import { stepText, type Outcome } from '../../src/install/step.ts';
import { TemporaryDirectory } from '../helpers/temporaryDirectory.ts';

/** The directories of a node, in a temporary place: its networks, its plugins, its sysctls, and an executable to install. */
export class InstalledNode extends TemporaryDirectory {
  readonly confDir = this.file('net.d');
  readonly source = this.file('source');
  readonly target = this.file('bin/kube-nwplcy');

  constructor(files: Readonly<Record<string, string>> = {}) {
    super();
    mkdirSync(this.confDir);
    mkdirSync(this.file('proc/sys/net/bridge'), { recursive: true });
    this.setSysctls('1');
    writeFileSync(this.source, 'this is the program');
    for (const [name, text] of Object.entries(files)) this.write(name, text);
  }

  /** Writes a network's file. */
  write(name: string, text: string): void {
    writeFileSync(`${this.confDir}/${name}`, text);
  }

  setSysctls(value: string): void {
    for (const name of ['iptables', 'ip6tables']) writeFileSync(this.#sysctl(name), value);
  }

  get sysctls(): readonly string[] {
    return ['iptables', 'ip6tables'].map((name) => readFileSync(this.#sysctl(name), 'utf8'));
  }

  /** Returns all of the networks' files by their names. */
  get files(): Readonly<Record<string, string>> {
    const names = readdirSync(this.confDir).toSorted();
    return Object.fromEntries(names.map((name) => [name, readFileSync(`${this.confDir}/${name}`, 'utf8')]));
  }

  get inodes(): Readonly<Record<string, number>> {
    return Object.fromEntries(readdirSync(this.confDir).map((name) => [name, statSync(`${this.confDir}/${name}`).ino]));
  }

  install(options: Partial<InstallOptions> = {}): readonly string[] {
    const { confDir, path: root } = this;
    const executable = new InstalledExecutable(this.source, this.target);
    const all = { executable, confDir, keys: {}, force: false, dryRun: false, env: {}, root, ...options };
    return this.#told(install(all), all);
  }

  cleanUp(options: { readonly dryRun: boolean } = { dryRun: false }): readonly string[] {
    return this.#told(cleanConfDir(this.confDir, options), options);
  }

  /** Returns what a person is told, with `~` for the temporary place. */
  #told({ steps, notes, problems }: Outcome, options: { readonly dryRun: boolean }): readonly string[] {
    const lines = steps.map((step) => stepText(step, options).trimEnd());
    return [...lines, ...notes.map((note) => `Note: ${note}`), ...problems].map((line) =>
      line.replaceAll(this.path, '~'),
    );
  }

  #sysctl(name: string): string {
    return this.file(`proc/sys/net/bridge/bridge-nf-call-${name}`);
  }
}
