/**
 * Resolves when what was written to a stream has left this process. A pipe takes 64 KiB at a time, and the end of the process would take the rest
 * away. Resolves too when the reader has gone.
 */
export function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve());
  });
}
