import { InvalidArgumentError } from 'commander';

/** Where objects come from: the API server, or a directory of manifests. */
export type SourceChoice = { readonly kind: 'kube' } | { readonly kind: 'directory'; readonly path: string };

/** Returns the text that `parseSource` reads as this choice. */
export function sourceText(choice: SourceChoice): string {
  return choice.kind === 'kube' ? 'kube' : `dir:${choice.path}`;
}

/** Where those objects may come from that a question is about: also from the agent of this node. */
export type KnowledgeChoice = SourceChoice | { readonly kind: 'agent' };

/** Returns the choice that an option's text names. Throws commander's error for any other. */
export function parseKnowledge(text: string): KnowledgeChoice {
  if (text === 'agent') return { kind: 'agent' };
  if (text !== 'kube' && !text.startsWith('dir:')) throw new InvalidArgumentError('expected agent, dir:PATH or kube');
  return parseSource(text);
}

/** Returns the choice that an option's text names. Throws commander's error for any other. */
export function parseSource(text: string): SourceChoice {
  if (text === 'kube') return { kind: 'kube' };
  const path = /^dir:(.+)$/s.exec(text)?.[1];
  if (path === undefined) throw new InvalidArgumentError('expected dir:PATH or kube');
  return { kind: 'directory', path };
}
