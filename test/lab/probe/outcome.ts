import type { Outcome } from './protocol.ts';

/** Returns the error code of the system, or the error's text if it has none. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return String(error);
}

/** Returns what an error means for a try of which nothing has come back yet; throws it if it says nothing about the network. */
export function outcomeOfError(error: unknown): Outcome {
  switch (errorCode(error)) {
    case 'ECONNREFUSED':
      return 'refused';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'broken';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EACCES': // ICMP administratively prohibited
    case 'EPERM': // a rule of the own OUTPUT chain
    case 'EPROTO':
      return 'unreachable';
    case 'ETIMEDOUT':
      return 'timeout';
    default:
      throw error;
  }
}
