import { show, type Field } from './field.ts';

/** The annotation that puts a policy, or all policies of a namespace, into audit mode. */
export const MODE_ANNOTATION = 'kube-nwplcy.io/mode';

/** What an object in audit mode has; all others have nothing: their policies refuse. */
export interface AuditMode {
  /** What would be refused is let pass, and noted down. */
  readonly audit?: true;
}

/** Decodes the mode of an object from its metadata. Whatever is not `audit` is a problem, and refuses as without it. */
export function decodeMode(metadata: Field): AuditMode {
  const mode = metadata.child('annotations').child(MODE_ANNOTATION);
  if (mode.isAbsent) return {};
  if (mode.value === 'audit') return { audit: true };
  return mode.fail(`Cannot use ${show(mode.value)}: must be "audit", or take the annotation away to enforce`, {});
}
