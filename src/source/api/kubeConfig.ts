import { readFileSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { dirname, resolve } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { parse } from 'yaml';
import { quote } from '../../net/quote.ts';
import { ApiConnection, type Credentials } from './connection.ts';

/** How to find the API server: a kubeconfig file, or `undefined` for what Kubernetes gives to a pod. */
export type KubeConfigPath = string | undefined;

/**
 * Returns a connection to the API server of a kubeconfig's current context or, without a file, to that of the cluster that this process is a pod of.
 * Throws an Error that says what the configuration lacks.
 */
export async function connect(path: KubeConfigPath): Promise<ApiConnection> {
  // By itself a third of the agent's code, and of use to nobody else.
  const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
  const load = () => loadConfig(new KubeConfig(), path);
  let config = load();
  const credentials: Credentials = {
    apply: async (options) => apply(config, options),
    refresh: () => {
      config = load();
    },
  };
  return new ApiConnection(serverOf(config), credentials);
}

function loadConfig(config: KubeConfig, path: KubeConfigPath): KubeConfig {
  try {
    if (path === undefined) config.loadFromCluster();
    else loadFile(config, path);
    serverOf(config);
    // The library refuses to speak to a server without TLS unless told that its certificate does not matter.
    config.clusters = config.clusters.map((cluster) =>
      cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster,
    );
    return config;
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : String(error)).split(/:?\n/);
    throw new Error(`Cannot use ${nameOf(path)}: ${reason}`, { cause: error });
  }
}

function loadFile(config: KubeConfig, path: string): void {
  const content: unknown = parse(readFileSync(path, 'utf8'));
  if (typeof content !== 'object' || content === null) throw new Error('it holds no configuration');
  config.loadFromString(JSON.stringify(content));
  config.makePathsAbsolute(dirname(path));
  const user = config.getCurrentUser();
  const tokenFile = user === null ? undefined : tokenFileOf(content, user.name);
  if (tokenFile !== undefined) readTokenFrom(resolve(dirname(path), tokenFile), config);
}

/** The library knows a token's file of a pod only, but reads any anew like that one: every minute. It goes before a token (client-go, `AuthInfo`). */
function readTokenFrom(tokenFile: string, config: KubeConfig): void {
  const name = config.getCurrentUser()?.name;
  const authProvider = { name: 'tokenFile', config: { tokenFile } };
  config.users = config.users.map((user) => (user.name === name ? { ...user, token: '', authProvider } : user));
}

/** Returns `tokenFile` of a user of a kubeconfig (client-go, `AuthInfo`). */
function tokenFileOf(kubeconfig: unknown, userName: string): string | undefined {
  const { users } = kubeconfig as { readonly users?: readonly { readonly name: string; readonly user?: UserFields }[] };
  const tokenFile = users?.find(({ name }) => name === userName)?.user?.tokenFile;
  return typeof tokenFile === 'string' && tokenFile !== '' ? tokenFile : undefined;
}

interface UserFields {
  readonly tokenFile?: unknown;
}

/** Returns the URL of the current context's server. Throws an Error when that context leads to none, or to no user that there is. */
function serverOf(config: KubeConfig): string {
  const name: unknown = config.getCurrentContext();
  if (typeof name !== 'string' || name === '') throw new Error('it names no current context');
  const context = config.getContextObject(name);
  if (context === null) throw new Error(`it lacks its current context ${quote(name)}`);
  if (context.user !== undefined && config.getCurrentUser() === null)
    throw new Error(`its current context ${quote(context.name)} is for a user that it lacks (${quote(context.user)})`);
  const server = config.getCurrentCluster()?.server ?? '';
  const url = URL.parse(server);
  if (url !== null && /^https?:$/.test(url.protocol)) return url.href;
  throw new Error(`its current context ${quote(context.name)} leads to no server (${quote(server)})`);
}

function nameOf(path: KubeConfigPath): string {
  return path === undefined ? 'the service account of this pod' : `the kubeconfig ${quote(path)}`;
}

async function apply(config: KubeConfig, options: RequestOptions): Promise<void> {
  await config.applyToHTTPSOptions(options);
  // The library's agent would keep to the certificates that it was made with, while their files are renewed.
  if (config.getCurrentCluster()?.proxyUrl === undefined) options.agent = false;
  // A file of a token mostly ends in a line end, which a header must not have.
  const headers = options.headers as Record<string, string>;
  if (headers['Authorization'] !== undefined) headers['Authorization'] = headers['Authorization'].trim();
}
