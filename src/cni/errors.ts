import { CommandError } from '../dataplane/commandError.ts';
import { isBusy } from '../dataplane/iptables/errors.ts';
import { ToolMissingError } from '../dataplane/toolMissing.ts';

/** What an error's `code` says: the CNI spec's, section 5, "Error" (0-99), then our own (100+). Never change these: runtimes and people know them. */
export const CNI_ERROR_CODES = {
  incompatibleVersion: 1,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidConfig: 7,
  tryAgainLater: 11,
  notAvailable: 50,
  limitedConnectivity: 51,
  bridgeUnfiltered: 100,
  toolMissing: 101,
  kernelRefused: 102,
  notInPlace: 103,
  internal: 999,
} as const;

export type CniErrorName = keyof typeof CNI_ERROR_CODES;

/** A failure in CNI's terms. */
export class CniError extends Error {
  override readonly name = 'CniError';
  readonly kind: CniErrorName;
  readonly code: number;
  readonly details: string;

  constructor(kind: CniErrorName, { msg, details }: { readonly msg: string; readonly details: string }) {
    super(msg);
    this.kind = kind;
    this.code = CNI_ERROR_CODES[kind];
    this.details = details;
  }
}

/** Returns a failure in CNI's terms, whatever it was: a program's, the file system's, or a bug. */
export function toCniError(error: unknown): CniError {
  if (error instanceof CniError) return error;
  if (error instanceof CommandError) return commandFailure(error);
  if (error instanceof ToolMissingError)
    return new CniError('toolMissing', { msg: error.message, details: error.advice });
  const details = error instanceof Error ? error.message : String(error);
  if (isSystemError(error))
    return new CniError('ioFailure', { msg: `Cannot ${error.syscall} "${error.path ?? ''}": ${error.code}`, details });
  const stack = error instanceof Error ? (error.stack ?? details) : details;
  return new CniError('internal', { msg: 'Cannot go on: this is a bug in kube-nwplcy', details: stack });
}

function commandFailure(error: CommandError): CniError {
  const [, ...more] = error.stderr.trim().split('\n');
  const details = [error.message, ...more].join('; ');
  if (isBusy(error)) {
    return new CniError('tryAgainLater', {
      msg: 'Cannot write the rules: other programs kept writing theirs',
      details,
    });
  }
  return new CniError('kernelRefused', {
    msg: 'Cannot write or read the rules: the kernel or its program refused',
    details,
  });
}

interface SystemError extends Error {
  readonly code: string;
  readonly syscall: string;
  readonly path?: string;
}

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}
