import { IP_FAMILIES, type IpFamily } from '../../net/family.ts';
import type { Direction } from '../../kube/networkPolicy.ts';
import type { Allow, PortMatch } from '../../policy/model.ts';
import type { Profile } from '../profile.ts';
import { nftSetName, REFUSE_CHAIN } from './names.ts';
import { nftComment, type NftChain, type NftRule } from './table.ts';

/** Returns a profile's chain. Allowed packets return and are never accepted: the other end of the flow must still have its say. */
export function profileChain({ allows, direction }: Profile): NftChain {
  const rules = allows.flatMap((allow) => allowRules(allow, direction));
  return { comment: `what ${direction} of the pods that come here may be`, rules: [...rules, `goto ${REFUSE_CHAIN}`] };
}

function allowRules({ peers, ports, policy }: Allow, direction: Direction): readonly NftRule[] {
  const end = `return ${nftComment(policy)}`;
  const rule = (...matches: readonly string[]) => [...matches.filter((match) => match !== ''), end].join(' ');
  const side = direction === 'ingress' ? 'saddr' : 'daddr';
  switch (peers.kind) {
    case 'any':
      return [rule(portMatch(ports))];
    case 'network':
      return [rule(networkMatch(peers.cidr, side), portMatch(ports))];
    case 'group':
      return IP_FAMILIES.map((family) => {
        const set = `@${nftSetName(family, peers.key)}`;
        const address = `${PROTOCOLS[family]} ${side}`;
        if (ports.kind === 'inGroup') return rule(`${address} . ${ports.protocol.toLowerCase()} dport ${set}`);
        return rule(`${address} ${set}`, portMatch(ports));
      });
  }
}

const PROTOCOLS = { ipv4: 'ip', ipv6: 'ip6' } as const;

function networkMatch(
  { text, family }: { readonly text: string; readonly family: IpFamily },
  side: 'saddr' | 'daddr',
): string {
  if (text.endsWith('/0')) return `meta nfproto ${family}`;
  const host = family === 'ipv4' ? '/32' : '/128';
  return `${PROTOCOLS[family]} ${side} ${text.endsWith(host) ? text.slice(0, -host.length) : text}`;
}

function portMatch(ports: PortMatch): string {
  if (ports.kind === 'any') return '';
  const protocol = ports.protocol.toLowerCase();
  if (ports.kind === 'inGroup' || (ports.from === 0 && ports.to === 65_535)) return `meta l4proto ${protocol}`;
  return `${protocol} dport ${ports.from === ports.to ? ports.from : `${ports.from}-${ports.to}`}`;
}
