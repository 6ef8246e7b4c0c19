import type { AnyChain } from '../dataplane/allChains.ts';
import { toolOutput } from '../dataplane/toolOutput.ts';
import { printable } from '../net/quote.ts';
import { ENTRY_CHAIN } from '../rules/names.ts';
import type { ExaminedNode } from './examined.ts';
import { Findings, type Finding } from './finding.ts';

const findings = new Findings('FORWARD');

/**
 * Somebody lets pod traffic through where FORWARD's policy is DROP. This product only takes away, so that without such a one nothing passes. Which
 * rules accept is read off FORWARD itself; what a chain does that it leads to is only known of chains that are known.
 */
export function checkForward(node: ExaminedNode): readonly Finding[] {
  const dropping = node.chains.chains.filter(({ hook, policy }) => hook === 'forward' && policy === 'drop');
  if (dropping.length === 0)
    return node.chains.unseen.length > 0 ? [] : [findings.ok('No policy DROP: what nobody refuses is forwarded')];
  return dropping.map((chain) => dropFinding(node, chain));
}

const MEND =
  "let flannel, kube-proxy or your firewall accept the pods' network (iptables -A FORWARD -s CIDR -j ACCEPT, and -d); kube-nwplcy never does";

function dropFinding(node: ExaminedNode, { table, name }: AnyChain): Finding {
  const place = printable(`${table} ${name}`);
  const program = PROGRAMS[table];
  // Of a firewall of its own (firewalld and the like) nothing is known but that it drops what it does not accept.
  if (program === undefined)
    return findings.warning(`${place} drops what it does not accept, in a table of somebody's own`, MEND);
  const listing = toolOutput(program, ['-w', '5', '-S', 'FORWARD'], node.env);
  if (listing.kind !== 'printed')
    return findings.unknown(
      `${place} has the policy DROP, and its rules cannot be read by ${program}`,
      'look at it with nft',
    );
  const targets = [...listing.text.matchAll(/^-A FORWARD .*-[jg] (\S+)/gm)].map(([, target = '']) => target);
  const accepting = targets.filter((target) => target !== ENTRY_CHAIN && !NEVER.test(target));
  if (accepting.length === 0)
    return findings.problem(`${place} has the policy DROP, and no rule in it accepts pod traffic`, MEND);
  return findings.ok(
    `${place} has the policy DROP, and ${[...new Set(accepting)].map(printable).join(', ')} may accept`,
  );
}

const PROGRAMS: Readonly<Record<string, string>> = {
  'ip filter': 'iptables-nft',
  'legacy ip filter': 'iptables-legacy',
  'ip6 filter': 'ip6tables-nft',
  'legacy ip6 filter': 'ip6tables-legacy',
};

/** KUBE-FORWARD accepts what is marked, and replies; docker's chains accept docker's networks. */
const NEVER = /^(?:DROP|REJECT|LOG|NFLOG|MARK|CONNMARK|RETURN|KUBE-|DOCKER|NWPLCY-)/;
