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
  const server = serverOf(config, path);
  const credentials: Credentials = {
    apply: async (options) => apply(config, options),
    refresh: () => {
      config = load();
    },
  };
  return new ApiConnection(server, credentials);
}

function loadConfig(config: KubeConfig, path: KubeConfigPath): KubeConfig {
  try {
    if (path === undefined) {
      config.loadFromCluster();
      return config;
    }
    config.loadFromFile(path);
    const tokenFile = tokenFileOf(parse(readFileSync(path, 'utf8')), config.getCurrentUser()?.name);
    if (tokenFile !== undefined) readTokenFrom(resolve(dirname(path), tokenFile), config);
    return config;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot use ${nameOf(path)}: ${reason}`, { cause: error });
  }
}

/** The library knows a token's file of a pod only, but reads any anew like that one: every minute. */
function readTokenFrom(tokenFile: string, config: KubeConfig): void {
  const name = config.getCurrentUser()?.name;
  config.users = config.users.map((user) =>
    user.name === name ? { ...user, authProvider: { name: 'tokenFile', config: { tokenFile } } } : user,
  );
}

/** Returns `tokenFile` of a user of a kubeconfig (client-go, `AuthInfo`). */
function tokenFileOf(kubeconfig: unknown, userName: string | undefined): string | undefined {
  const { users } = kubeconfig as { readonly users?: readonly { readonly name: string; readonly user?: UserFields }[] };
  const tokenFile = users?.find(({ name }) => name === userName)?.user?.tokenFile;
  return typeof tokenFile === 'string' && tokenFile !== '' ? tokenFile : undefined;
}

interface UserFields {
  readonly tokenFile?: unknown;
}

function serverOf(config: KubeConfig, path: KubeConfigPath): string {
  const server = config.getCurrentCluster()?.server;
  const url = server === undefined ? null : URL.parse(server);
  if (url !== null && /^https?:$/.test(url.protocol)) return url.href;
  const context = config.getCurrentContext();
  throw new Error(
    `Cannot use ${nameOf(path)}: its current context ${quote(context)} leads to no server (${quote(server ?? '')})`,
  );
}

function nameOf(path: KubeConfigPath): string {
  return path === undefined ? 'the service account of this pod' : `the kubeconfig ${quote(path)}`;
}

async function apply(config: KubeConfig, options: RequestOptions): Promise<void> {
  await config.applyToHTTPSOptions(options);
  // What it makes for a server without TLS and without a proxy is an agent for TLS.
  const { server = '', proxyUrl } = config.getCurrentCluster() ?? {};
  if (server.startsWith('http:') && proxyUrl === undefined) delete options.agent;
}
