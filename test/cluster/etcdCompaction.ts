import { request } from 'node:http';

/** Has etcd forget all history before its present revision, by the HTTP gateway of its API (etcd 3.4). */
export async function compactEtcd(socketPath: string): Promise<void> {
  const { header } = (await post(socketPath, '/v3/kv/range', { key: Buffer.from('none').toString('base64') })) as {
    readonly header: { readonly revision: string };
  };
  try {
    await post(socketPath, '/v3/kv/compaction', { revision: header.revision, physical: true });
  } catch (error) {
    // Nothing was written since the last time.
    if (!String(error).includes('has been compacted')) throw error;
  }
}

async function post(socketPath: string, path: string, body: object): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const sent = request({ socketPath, path, method: 'POST', agent: false });
  sent.on('error', reject);
  sent.on('response', (response) => {
    let text = '';
    response.on('data', (chunk: Buffer) => (text += chunk.toString()));
    response.on('end', () =>
      response.statusCode === 200 ? resolve(text) : reject(new Error(`Cannot POST ${path} to etcd: ${text}`)),
    );
  });
  sent.end(JSON.stringify(body));
  return JSON.parse(await promise) as unknown;
}
