import { packageOf, programOf, type Backend } from '../dataplane/backend.ts';
import { nftProblem } from '../dataplane/nftables/version.ts';
import { toolOutput } from '../dataplane/toolOutput.ts';
import { findTool } from '../dataplane/tools.ts';
import { printable } from '../net/quote.ts';
import type { ExaminedNode } from './examined.ts';
import { Findings, type Finding } from './finding.ts';

const findings = new Findings('programs');

/** The programs are there that the backend needs, and those that make it better. */
export function checkTools(node: ExaminedNode): readonly Finding[] {
  const { backend, env } = node;
  if (backend === undefined)
    return [
      findings.problem(
        'Neither nft nor iptables-restore is in PATH: nothing can write rules',
        'install "nftables" (1.0.1 or newer), or "iptables" and "ipset"',
      ),
    ];
  const missing = neededBy(backend).filter(([program]) => findTool(program, env) === undefined);
  return [
    ...missing.map(([program, name]) =>
      findings.problem(`${program} is not in PATH, and ${backend} needs it`, `install "${name}"`),
    ),
    ...(missing.length === 0 ? [programsFinding(node, backend)] : []),
    ...HELPFUL.filter(([program]) => findTool(program, env) === undefined).map(([program, name, without]) =>
      findings.warning(`${program} is not in PATH: ${without}`, `install "${name}"`),
    ),
  ];
}

type Needed = readonly [program: string, packageName: string];

function neededBy(backend: Backend): readonly Needed[] {
  const program: Needed = [programOf(backend), packageOf(backend)];
  return backend === 'nftables' ? [program] : [program, ['ipset', 'ipset']];
}

const HELPFUL = [
  [
    'conntrack',
    'conntrack',
    "replies to an address' earlier holder reach the next one, and who only sends UDP is not cut",
  ],
  ['ip', 'iproute2', 'the interfaces of pods that ran before cannot be found, so that their sources are not locked'],
  [
    'bridge',
    'iproute2',
    'the interfaces of pods on a bridge that ran before cannot be found, so that their sources are not locked',
  ],
] as const;

function programsFinding({ env, isRoot }: ExaminedNode, backend: Backend): Finding {
  const problem = backend === 'nftables' && isRoot ? nftProblem(env) : undefined;
  if (problem !== undefined)
    return findings.problem(`Cannot use nftables: ${printable(problem)}`, 'see docs/backends.md');
  const programs = backend === 'nftables' ? ['nft'] : [programOf(backend), 'ipset'];
  const versions = programs.map((program) => {
    const printed = toolOutput(program, ['--version'], env);
    const [version = ''] = printed.kind === 'printed' ? (/v?\d+(?:\.\d+)+/.exec(printed.text) ?? []) : [];
    return `${program} ${version}`.trim();
  });
  return findings.ok(`What ${backend} needs is installed: ${versions.join(', ')}`);
}
