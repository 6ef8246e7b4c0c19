/** Yields the lines of a stream of bytes, however these are cut; what follows the last line end is no line. */
export async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  for await (const chunk of chunks) {
    const [first = '', ...others] = decoder.decode(chunk, { stream: true }).split('\n');
    parts.push(first);
    for (const part of others) {
      yield parts.join('');
      parts = [part];
    }
  }
  return undefined;
}
