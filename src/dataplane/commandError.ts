/** A program of the kernel's that did not do what it was told. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: number | undefined;
  readonly stderr: string;
  /** The system's code when the program could not be started, e.g. `ENOENT`. */
  readonly code: string | undefined;

  constructor({
    file,
    args,
    result,
  }: {
    readonly file: string;
    readonly args: readonly string[];
    readonly result: CommandResult;
  }) {
    const end =
      result.exitCode === undefined
        ? (result.code ?? result.signal ?? 'did not start')
        : `exit code ${result.exitCode}`;
    const reason = reasonIn(result.stderr ?? '');
    super(`Cannot run "${[file, ...args].join(' ')}": ${end}${reason === '' ? '' : `, ${reason}`}`);
    this.exitCode = result.exitCode;
    this.stderr = result.stderr ?? '';
    this.code = result.code;
  }
}

/** iptables-nft may first warn of legacy tables, and tells what went wrong at COMMIT in the line after its own name. */
function reasonIn(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const [first = '', second = ''] = lines.filter((line) => line !== '' && !line.startsWith('# Warning'));
  return first.endsWith(':') ? `${first} ${second}` : first;
}

interface CommandResult {
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly code?: string | undefined;
  readonly stderr?: string | undefined;
}
