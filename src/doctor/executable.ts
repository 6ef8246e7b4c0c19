import { statSync, type Stats } from 'node:fs';
import { toolOutput } from '../dataplane/toolOutput.ts';
import { PLUGIN_TYPE } from '../install/conflist.ts';
import { printable } from '../net/quote.ts';
import type { ExaminedNode } from './examined.ts';
import { Findings, type Finding } from './finding.ts';

const findings = new Findings('executable');
const OTHERS_MAY_WRITE = 0o022;

/** The executable is where the runtime looks for it, nobody but root can change it, it runs, and it is this version. */
export function checkExecutable({ binDir, version, env }: ExaminedNode): readonly Finding[] {
  const path = `${binDir}/${PLUGIN_TYPE}`;
  const shown = printable(path);
  const stats = statIfAny(path);
  if (stats === undefined)
    return [
      findings.problem(
        `${shown}: there is no such file, and the runtime fails every ADD that names it`,
        'run "kube-nwplcy install" with the --cni-bin-dir of the container runtime',
      ),
    ];
  if (!stats.isFile() || (stats.mode & 0o111) === 0)
    return [findings.problem(`${shown}: it is no program that can be run`, 'run "kube-nwplcy install"')];
  if (stats.uid !== 0 || (stats.mode & OTHERS_MAY_WRITE) !== 0)
    return [
      findings.problem(
        `${shown}: others than root can change it, and root runs it for every pod; it was not run to ask for its version`,
        `chown root:root ${shown}; chmod 755 ${shown}`,
      ),
    ];
  return [versionFinding(shown, { printed: toolOutput(path, ['--version'], env), version })];
}

function versionFinding(
  shown: string,
  { printed, version }: { readonly printed: ReturnType<typeof toolOutput>; readonly version: string },
): Finding {
  if (printed.kind !== 'printed')
    return findings.problem(
      `${shown}: it does not run${printed.kind === 'failed' ? `: ${printable(printed.why)}` : ''}`,
      'is it for this kind of processor, and may files there be run (mount option noexec)? Run "kube-nwplcy install"',
    );
  const found = /^kube-nwplcy (.*)$/m.exec(printed.text)?.[1];
  if (found === undefined)
    return findings.problem(`${shown}: it is another program`, 'run "kube-nwplcy install", which replaces it');
  if (found === version) return findings.ok(`${shown}: it runs, and is ${printable(found)}`);
  return findings.warning(
    `${shown}: it is ${printable(found)}, and this is ${version}`,
    'run "kube-nwplcy install" of the version that you want',
  );
}

function statIfAny(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}
