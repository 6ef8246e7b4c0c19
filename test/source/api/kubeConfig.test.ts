import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ApiConnection } from '../../../src/source/api/connection.ts';
import { connect } from '../../../src/source/api/kubeConfig.ts';
import { ApiDouble, until } from '../../helpers/apiDouble.ts';
import { TemporaryDirectory } from '../../helpers/temporaryDirectory.ts';

let api: ApiDouble;
let directory: TemporaryDirectory;
let path: string;

beforeEach(async () => {
  api = await ApiDouble.start();
  directory = new TemporaryDirectory();
  path = directory.file('kubeconfig');
});
afterEach(async () => {
  directory[Symbol.dispose]();
  await api.close();
});

interface Fields {
  readonly cluster?: Readonly<Record<string, unknown>>;
  readonly user?: Readonly<Record<string, unknown>>;
  readonly context?: Readonly<Record<string, unknown>>;
  readonly current?: unknown;
}

/** Writes a kubeconfig; JSON is YAML. */
function write({ cluster = {}, user = {}, context = {}, current = 'here' }: Fields = {}): void {
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'home', cluster: { server: api.url, ...cluster } }],
    users: [
      { name: 'other', user: { token: 'not this one' } },
      { name: 'agent', user },
    ],
    contexts: [{ name: 'here', context: { cluster: 'home', user: 'agent', ...context } }],
    'current-context': current,
  };
  writeFileSync(path, JSON.stringify(content));
}

function get(connection: ApiConnection): Promise<unknown> {
  return connection.json({ path: '/api/v1/pods', silenceMs: 5000, signal: new AbortController().signal });
}

async function message(): Promise<string> {
  const text = await connect(path).then(
    () => 'none',
    (error: unknown) => (error instanceof Error ? error.message : ''),
  );
  return text.replaceAll(directory.path, 'DIR');
}

describe('a server without TLS', () => {
  test('is spoken to', async () => {
    write({ user: { token: 'secret' } });
    api.token = 'secret';
    const connection = await connect(path);
    expect(await get(connection)).toMatchObject({ items: [] });
    expect(connection.server).toBe(api.url);
  });

  test('that is a path of another, too', async () => {
    write({ cluster: { server: `${api.url}/k8s/clusters/c-1/` } });
    const connection = await connect(path);
    await get(connection).catch(() => {});
    expect(api.log.map((request) => request.path)).toEqual(['/k8s/clusters/c-1/api/v1/pods']);
  });

  test('needs no user', async () => {
    write({ context: { user: undefined } });
    await get(await connect(path));
    expect(api.log.map(({ token }) => token)).toEqual([undefined]);
  });

  test(
    'is asked on a new connection each time: no limit of the one before is left on it',
    { timeout: 2000 },
    async () => {
      write();
      await get(await connect(path));
      await until(() => !process.getActiveResourcesInfo().includes('TCPSocketWrap'));
      expect(api.log).toHaveLength(1);
    },
  );
});

describe('a token', () => {
  test('may end in a line end, which is no part of it', async () => {
    write({ user: { token: 'secret\n' } });
    api.token = 'secret';
    await get(await connect(path));
    writeFileSync(directory.file('token'), 'secret\n');
    write({ user: { tokenFile: directory.file('token') } });
    await get(await connect(path));
    expect(api.log.map(({ token }) => token)).toEqual(['secret', 'secret']);
  });

  test('of a file is found beside the kubeconfig, and goes before one in it', async () => {
    writeFileSync(directory.file('token'), 'of the file');
    write({ user: { tokenFile: 'token', token: 'of the kubeconfig' } });
    await get(await connect(path));
    expect(api.log.map(({ token }) => token)).toEqual(['of the file']);
  });

  test('of a file that was written anew is used as soon as the server refuses the old one', async () => {
    writeFileSync(directory.file('token'), 'old');
    write({ user: { tokenFile: 'token' } });
    const connection = await connect(path);
    await get(connection);
    writeFileSync(directory.file('token'), 'new');
    api.token = 'new';
    await expect(get(connection)).rejects.toMatchObject({ code: 401 });
    await get(connection);
    expect(api.log.map(({ token }) => token)).toEqual(['old', 'old', 'new']);
  });

  test('of a kubeconfig that was written anew likewise', async () => {
    write({ user: { token: 'old' } });
    const connection = await connect(path);
    write({ user: { token: 'new' } });
    api.token = 'new';
    await expect(get(connection)).rejects.toMatchObject({ code: 401 });
    await get(connection);
  });

  test('is used on when the kubeconfig cannot be read anew', async () => {
    write({ user: { token: 'old' } });
    const connection = await connect(path);
    rmSync(path);
    api.token = 'new';
    await expect(get(connection)).rejects.toThrow(`Cannot use the kubeconfig "${path}": ENOENT`);
    api.token = 'old';
    await get(connection);
  });

  test('file that is not there is named', async () => {
    write({ user: { tokenFile: 'token' } });
    await expect(get(await connect(path))).rejects.toThrow(directory.file('token'));
  });
});

describe('a kubeconfig is refused, with its name and the reason', () => {
  test('that is not there', async () => {
    expect(await message()).toBe(
      `Cannot use the kubeconfig "DIR/kubeconfig": ENOENT: no such file or directory, open 'DIR/kubeconfig'`,
    );
  });

  test.for([
    ['', 'it holds no configuration'],
    ['# nothing\n', 'it holds no configuration'],
    ['just text', 'it holds no configuration'],
    [
      'clusters: [',
      'Flow sequence in block collection must be sufficiently indented and end with a ] at line 1, column 12',
    ],
    ['a: 1\na: 2\n', 'Map keys must be unique at line 2, column 1'],
    ['clusters: {}\n', 'it names no current context'],
    ['users: {}\n', 'it names no current context'],
    ['clusters: [{name: a}]\n', 'clusters[0].cluster is missing'],
    ['clusters: [{name: a, cluster: {}}]\n', 'clusters[0].cluster.server is missing'],
    ['contexts: [{name: a}]\ncurrent-context: a\n', 'contexts[0].context is missing'],
    ['users: [{}]\n', 'users[0].name is missing'],
  ] as const)('that is %j', async ([text, reason]) => {
    writeFileSync(path, text);
    expect(await message()).toBe(`Cannot use the kubeconfig "DIR/kubeconfig": ${reason}`);
  });

  test.for<readonly [Fields, string]>([
    [{ current: null }, 'it names no current context'],
    [{ current: '' }, 'it names no current context'],
    [{ current: 5 }, 'it names no current context'],
    [{ current: 'there' }, 'it lacks its current context "there"'],
    [{ context: { cluster: 'away' } }, 'its current context "here" leads to no server ("")'],
    [{ cluster: { server: 'home' } }, 'its current context "here" leads to no server ("home")'],
    [{ cluster: { server: 'ftp://home' } }, 'its current context "here" leads to no server ("ftp://home")'],
    [{ context: { user: 'nobody' } }, 'its current context "here" is for a user that it lacks ("nobody")'],
  ])('with %j', async ([fields, reason]) => {
    write(fields);
    expect(await message()).toBe(`Cannot use the kubeconfig "DIR/kubeconfig": ${reason}`);
  });
});

// Of two CAs whose keys nobody has any more, made once by "openssl req -x509 -newkey ec -days 36500 -CA …".
const CERTIFICATES = `${import.meta.dirname}/certificates`;

function certificate(file: string): string {
  return readFileSync(`${CERTIFICATES}/${file}`, 'utf8');
}

/** Puts the files of a client in place, as whoever renews them does. */
function renew(age: 'old' | 'new'): void {
  for (const file of ['ca.crt', 'client.crt', 'client.key'])
    writeFileSync(directory.file(file), certificate(`${age}-${file}`));
}

test('certificates of the client and of the CA are used, and used anew once their files are renewed', async () => {
  const who: unknown[] = [];
  const identity = { key: certificate('old-server.key'), cert: certificate('old-server.crt') };
  const server = createServer({ ...identity, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    who.push((request.socket as TLSSocket).getPeerCertificate().subject.CN);
    response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    renew('old');
    write({
      cluster: {
        server: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
        'certificate-authority': 'ca.crt',
      },
      user: { 'client-certificate': 'client.crt', 'client-key': 'client.key' },
    });
    const connection = await connect(path);
    await get(connection);
    renew('new');
    await expect(get(connection)).rejects.toThrow('certificate');
    server.setSecureContext({ key: certificate('new-server.key'), cert: certificate('new-server.crt') });
    await get(connection);
    expect(who).toEqual(['old-client', 'new-client']);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
