import { Command, Option } from 'commander';
import { examine } from '../doctor/doctor.ts';
import type { Finding, Level } from '../doctor/finding.ts';
import { runtimeDirInUse } from '../install/cleanup.ts';
import { DEFAULT_RUNTIME_DIR } from '../rendezvous/runtimeDir.ts';
import { VERSION } from '../version.ts';
import { DEFAULT_BIN_DIR, DEFAULT_CONF_DIR } from './install.ts';
import type { CommandIo } from './io.ts';

interface DoctorFlags {
  readonly cniBinDir: string;
  readonly cniConfDir: string;
  readonly runtimeDir: string | undefined;
  readonly output: 'text' | 'json';
}

/** `doctor`: looks at everything on this node that the product depends on; writes nothing. */
export function doctorCommand(io: CommandIo): Command {
  return new Command('doctor')
    .description('look for what is wrong with this node, without an agent; write nothing')
    .option('--cni-bin-dir <dir>', 'where the container runtime looks for plugins', DEFAULT_BIN_DIR)
    .option('--cni-conf-dir <dir>', 'where the container runtime looks for networks', DEFAULT_CONF_DIR)
    .option(
      '--runtime-dir <dir>',
      `the directory shared with the agent (default: the conflist's "runtimeDir", else "${DEFAULT_RUNTIME_DIR}")`,
    )
    .addOption(new Option('--output <format>', 'how to answer').choices(['text', 'json']).default('text'))
    .addHelpText('after', HELP)
    .action(async (flags: DoctorFlags) => {
      const findings = await examine({
        env: io.env,
        binDir: flags.cniBinDir,
        confDir: flags.cniConfDir,
        runtimeDir: flags.runtimeDir ?? usedRuntimeDir(flags.cniConfDir),
        version: VERSION,
        root: '',
      });
      const hasProblem = findings.some(({ level }) => level === 'problem');
      io.stdout(
        flags.output === 'json' ? `${JSON.stringify({ healthy: !hasProblem, findings })}\n` : doctorText(findings),
      );
      io.exitCode(hasProblem ? 1 : 0);
    });
}

const HELP = `
It looks at the conflist, the executable, the runtime directory, programs, kernel modules, sysctls, FORWARD and what other engines have left. Run it on
the node, or in the agent's container: then give --cni-bin-dir and --cni-conf-dir where these are mounted. Without root it says what it could not see.

Examples:
  kube-nwplcy doctor
  kube-nwplcy doctor --output json | jq '.findings[] | select(.level == "problem")'

Exit codes: 0 there is no problem (there may be warnings); 1 there is one; 2 bad usage.`;

function usedRuntimeDir(confDir: string): string {
  try {
    return runtimeDirInUse(confDir) ?? DEFAULT_RUNTIME_DIR;
  } catch {
    // Who may not look there is told so by the check of the conflist.
    return DEFAULT_RUNTIME_DIR;
  }
}

const ORDER: readonly Level[] = ['problem', 'warning', 'unknown', 'ok'];

/** Returns the findings as lines, the worst first, and last what they come to. */
export function doctorText(findings: readonly Finding[]): string {
  const sorted = ORDER.flatMap((level) => findings.filter((finding) => finding.level === level));
  const lines = sorted.map(
    ({ check, level, what, mend }) =>
      `${level.padEnd(8)} ${check.padEnd(11)} ${what}\n${mend === undefined ? '' : `${' '.repeat(21)}→ ${mend}\n`}`,
  );
  return `${lines.join('')}\n${summary(findings)}\n`;
}

function summary(findings: readonly Finding[]): string {
  const count = (level: Level) => findings.filter((finding) => finding.level === level).length;
  const counted = (level: Level, word: string) => `${count(level)} ${word}${count(level) === 1 ? '' : 's'}`;
  const unseen = count('unknown') === 0 ? '' : `, ${count('unknown')} could not be looked at`;
  return `${counted('problem', 'problem')}, ${counted('warning', 'warning')}${unseen}, ${count('ok')} good`;
}
