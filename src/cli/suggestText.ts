import { Document, isMap, type YAMLMap } from 'yaml';
import type { Labels } from '../kube/labels.ts';
import { printable } from '../net/quote.ts';
import type { Suggestion } from '../policy/suggest.ts';
import type { SuggestedPeer, SuggestedPolicy, SuggestedRule } from '../policy/suggestedPolicies.ts';

/** So many flows a rule are told as its evidence. */
const MOST_EVIDENCE = 10;

/** Returns a suggestion as manifests in YAML: rules with what was seen as comments, and last what cannot be allowed. */
export function suggestText({ policies, notes }: Suggestion): string {
  const documents = policies.map((policy) => policyDocument(policy).toString({ lineWidth: 0 }));
  const remarks = notes.map((note) => `# Not allowed: ${printable(note)}\n`).join('');
  if (documents.length === 0 && notes.length === 0) return '# Nothing was seen that needs a policy\n';
  return [...documents, ...(remarks === '' ? [] : [remarks])].join('---\n');
}

function policyDocument({ namespace, name, podLabels, rules }: SuggestedPolicy): Document {
  const directions = (['ingress', 'egress'] as const).filter((direction) => rules[direction] !== undefined);
  const document = new Document({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace },
    spec: {
      podSelector: selectorOf(podLabels),
      policyTypes: directions.map((direction) => (direction === 'ingress' ? 'Ingress' : 'Egress')),
    },
  });
  for (const direction of directions) {
    const peers = direction === 'ingress' ? 'from' : 'to';
    const nodes = (rules[direction] ?? []).map((rule) => ruleNode(document, { rule, peers }));
    document.setIn(['spec', direction], nodes);
  }
  return document;
}

function ruleNode(
  document: Document,
  { rule, peers }: { readonly rule: SuggestedRule; readonly peers: 'from' | 'to' },
): YAMLMap {
  const node = document.createNode({ [peers]: rule.peers.map(peerOf), ports: rule.ports });
  if (!isMap(node)) throw new TypeError('A rule is a map');
  node.commentBefore = evidenceLines(rule).join('\n');
  return node;
}

/** Each line is a comment of its own, whatever names hold. */
function evidenceLines({ evidence }: SuggestedRule): readonly string[] {
  const more = evidence.length - MOST_EVIDENCE;
  const lines = evidence.slice(0, MOST_EVIDENCE).map(({ peer, protocol, port, packets, lastSeen }) => {
    const count = `${packets} ${packets === 1 ? 'packet' : 'packets'}`;
    return ` ${printable(peer)} ${port}/${protocol}: ${count}, last seen ${printable(lastSeen)}`;
  });
  return more > 0 ? [...lines, ` and ${more} more`] : lines;
}

function peerOf(peer: SuggestedPeer) {
  if ('cidr' in peer) return { ipBlock: { cidr: peer.cidr } };
  const podSelector = selectorOf(peer.podLabels);
  if (peer.namespace === undefined) return { podSelector };
  return { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': peer.namespace } }, podSelector };
}

function selectorOf(labels: Labels) {
  return { matchLabels: new Map(labels) };
}
