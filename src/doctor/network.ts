import { printable } from '../net/quote.ts';
import { confNames, readConfFile } from '../install/confDir.ts';
import { PLUGIN_TYPE } from '../install/conflist.ts';
import { ourFields } from '../install/entry.ts';
import type { Network } from '../install/network.ts';
import type { ExaminedNode } from './examined.ts';
import { Findings, type Finding } from './finding.ts';

const findings = new Findings('conflist');
const INSTALL = 'run "kube-nwplcy install", or see why its container with "--watch" does not';

/** The plugin's entry is in the network that the runtime uses, once, after all that shape the interface, and says what the agent does. */
export function checkNetwork(node: ExaminedNode): readonly Finding[] {
  const { network, confDir } = node;
  if (network instanceof Error) return [unusable(network)];
  const path = printable(`${confDir}/${network.target}`);
  return [entryFinding(network, path), ...network.notes.map(noteFinding), ...elsewhere(node, network)].concat(
    keyFindings(node, network),
  );
}

function unusable(error: Error): Finding {
  return 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM')
    ? findings.unknown(`Cannot look at the networks: ${printable(error.message)}`, 'run this as root')
    : findings.problem(
        printable(error.message),
        'install the network of the cluster first, mend that file, or name its directory by --cni-conf-dir',
      );
}

function entryFinding({ edited, name, target }: Network, path: string): Finding {
  const done = edited.done.map(({ verb, what }) => `${verb} ${what}`);
  if (target !== name)
    return findings.problem(`${path}: runtimes read it as a single plugin, so that none can be chained`, INSTALL);
  const [first] = edited.done;
  if (first === undefined) return findings.ok(`${path}: ${PLUGIN_TYPE} is in it, in its place`);
  if (first.verb === 'added')
    return findings.problem(`${path}: ${PLUGIN_TYPE} is not in it, new pods run without policies`, INSTALL);
  return findings.problem(
    `${path}: ${PLUGIN_TYPE} is in it, but not as it must be ("install" would have: ${done.join(', ')})`,
    INSTALL,
  );
}

function noteFinding(note: string): Finding {
  return findings.warning(note, 'see that this is what you want');
}

/** An entry in a file that the runtime does not use does nothing, and looks as if it did. */
function elsewhere({ confDir }: ExaminedNode, { name, target }: Network): readonly Finding[] {
  const others = confNames(confDir).filter((other) => other !== name && other !== target);
  return others
    .filter((other) => mentions(`${confDir}/${other}`))
    .map((other) =>
      findings.warning(
        `${printable(`${confDir}/${other}`)}: ${PLUGIN_TYPE} is in it, but runtimes use the first file by name, ${printable(target)}`,
        'remove the file that is not meant',
      ),
    );
}

function mentions(path: string): boolean {
  try {
    return readConfFile(path).text.includes(`"${PLUGIN_TYPE}"`);
  } catch {
    // What cannot be read the runtime does not use either.
    return false;
  }
}

function keyFindings({ runtimeDir, backend }: ExaminedNode, { edited }: Network): readonly Finding[] {
  const keys = ourFields(edited.text);
  const found: Finding[] = [];
  if (typeof keys['runtimeDir'] === 'string' && keys['runtimeDir'] !== runtimeDir)
    found.push(
      findings.warning(
        `The entry says runtimeDir ${printable(JSON.stringify(keys['runtimeDir']))}, and this looks at "${printable(runtimeDir)}"`,
        'give the entry, the agent and this command the same --runtime-dir',
      ),
    );
  if (typeof keys['backend'] === 'string' && !['auto', backend].includes(keys['backend']))
    found.push(
      findings.problem(
        `The entry says backend ${printable(JSON.stringify(keys['backend']))}, and the agent uses "${backend ?? 'none'}": ADD fails`,
        'set both to "auto", or both to the same',
      ),
    );
  if (keys['whenAgentDown'] === 'allow')
    found.push(
      findings.warning(
        'The entry says whenAgentDown "allow": a pod that starts while no agent answers runs open',
        'leave the key out, unless that is what you want',
      ),
    );
  return found;
}
