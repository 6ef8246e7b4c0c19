/** Returns what a failed call of the file system says, and what to do where privileges are missing; `undefined` for any other error. */
export function fileSystemFailure(error: unknown): string | undefined {
  if (!(error instanceof Error && 'syscall' in error && 'code' in error)) return undefined;
  return `${error.message}${error.code === 'EACCES' || error.code === 'EPERM' ? '; run this as root' : ''}`;
}
