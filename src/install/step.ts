/** Something that `install` or `cleanup` did, or in a dry run would do. */
export interface Step {
  /** The file that was changed, or the part of the kernel. */
  readonly path: string;
  readonly verb: keyof typeof PRESENT;
  readonly what: string;
}

/** What was done, what an operator should know, and what could not be done. */
export interface Outcome {
  readonly steps: readonly Step[];
  readonly notes: readonly string[];
  readonly problems: readonly string[];
}

/** What each verb is in a dry run. */
const PRESENT = {
  added: 'would add',
  converted: 'would convert',
  copied: 'would copy',
  kept: 'would keep:',
  loaded: 'would load',
  moved: 'would move',
  removed: 'would remove',
  replaced: 'would replace',
  restored: 'would restore',
  saved: 'would save',
  set: 'would set',
  unchanged: 'unchanged',
} as const;

/** Tells whether a step changes anything. */
export function isChange({ verb }: Step): boolean {
  return verb !== 'unchanged' && verb !== 'kept';
}

/** Returns a step as a line, `PATH: added kube-nwplcy after portmap`. */
export function stepText({ path, verb, what }: Step, { dryRun }: { readonly dryRun: boolean }): string {
  const said = dryRun ? PRESENT[verb] : verb === 'kept' ? 'kept:' : verb;
  return `${path}: ${said}${what === '' ? '' : ` ${what}`}\n`;
}
