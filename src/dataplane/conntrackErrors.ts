/** Tells whether conntrack found nothing to delete, which it tells as a failure. */
export function hasNothingToDelete(stderr: string): boolean {
  return /\b0 flow entries/.test(stderr);
}
