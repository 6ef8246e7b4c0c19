import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from '../lab/manifests.ts';
import type { ApiClient, ApiObject } from './apiClient.ts';

const NAME = 'kube-nwplcy';
const MANIFEST = resolve(import.meta.dirname, '../../cni-conf/kube-nwplcy.yaml');

export const ISSUER = 'https://kubernetes.default.svc';
/** go-jose, `jwt.DefaultLeeway`: for so long after its end a token is still good. */
const LEEWAY_SECONDS = 60;

/** The ServiceAccount of the agents, with what the product's own manifest lets it do. */
export class AgentAccount {
  readonly #key: KeyObject;
  readonly #account: ApiObject;
  readonly #nodes: ReadonlyMap<string, ApiObject>;

  private constructor(key: KeyObject, account: ApiObject, nodes: readonly ApiObject[]) {
    this.#key = key;
    this.#account = account;
    this.#nodes = new Map(nodes.map((node) => [node.metadata.name, node]));
  }

  /** Puts the account, its rights and Node objects in place. `key` is that of the API server for such tokens. */
  static async create(
    admin: ApiClient,
    { key, nodeNames }: { readonly key: KeyObject; readonly nodeNames: readonly string[] },
  ) {
    const objects = manifest().filter(({ kind }) => kind !== 'DaemonSet');
    for (const object of objects) await admin.apply(object);
    const nodes = nodeNames.map((name) => admin.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name } }));
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace: NAME, name: NAME } };
    return new AgentAccount(key, await admin.get(account), await Promise.all(nodes));
  }

  /**
   * Returns a token as a pod of the account has it on a node (KEP-4193 puts the node in), good for so many seconds, if it is
   * used first near their end: an API server remembers for ten seconds whom it has let in. TokenRequest gives no token of less than ten minutes.
   */
  token(nodeName: string, { seconds = 3600 }: { readonly seconds?: number } = {}): string {
    const now = Math.floor(Date.now() / 1000);
    return signed(this.#key, {
      iss: ISSUER,
      aud: [ISSUER],
      sub: `system:serviceaccount:${NAME}:${NAME}`,
      iat: now - 3600,
      nbf: now - 3600,
      exp: now + seconds - LEEWAY_SECONDS,
      'kubernetes.io': {
        namespace: NAME,
        serviceaccount: { name: NAME, uid: this.#account.metadata.uid },
        node: { name: nodeName, uid: this.#nodes.get(nodeName)?.metadata.uid },
      },
    });
  }
}

/** Returns the objects of the product's manifest. */
function manifest(): readonly Manifest[] {
  return parseAllDocuments(readFileSync(MANIFEST, 'utf8'), { merge: true }).map(
    (document) => document.toJS() as Manifest,
  );
}

/** Returns a pair of keys for ServiceAccounts' tokens. */
export function tokenKeys() {
  return generateKeyPairSync('rsa', { modulusLength: 2048 });
}

/** Returns a JSON Web Token (RFC 7519). */
function signed(key: KeyObject, claims: object): string {
  const parts = [{ alg: 'RS256', typ: 'JWT' }, claims];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
}
