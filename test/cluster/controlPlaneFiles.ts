import { randomBytes, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ISSUER, tokenKeys } from './agentAccount.ts';
import { etcd, program } from './programs.ts';

/** The files of a control plane, in the directory that it has for itself. */
export class ControlPlaneFiles {
  /** For whom may do everything. */
  readonly adminToken = randomBytes(16).toString('hex');
  /** Signs ServiceAccounts' tokens. */
  readonly tokenKey: KeyObject;
  readonly #directory: string;
  readonly #fromHere: string;

  /** `fromHere` is the path by which this process reaches the directory. */
  constructor(directory: string, { fromHere }: { readonly fromHere: string }) {
    this.#directory = directory;
    this.#fromHere = fromHere;
    const { privateKey, publicKey } = tokenKeys();
    this.tokenKey = privateKey;
    mkdirSync(join(fromHere, 'certificates'));
    this.#write('tokens.key', privateKey.export({ type: 'pkcs8', format: 'pem' }));
    this.#write('tokens.pub', publicKey.export({ type: 'spki', format: 'pem' }));
    this.#write('tokens.csv', `${this.adminToken},admin,admin,"system:masters"\n`);
  }

  /** The certificate that the API server makes for itself at its first start, with that of its CA; `undefined` before. */
  get certificate(): string | undefined {
    const path = join(this.#fromHere, 'certificates/apiserver.crt');
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  }

  etcdArgv(endpoint: string): readonly string[] {
    const urls = `http://${endpoint}`;
    return [
      etcd(),
      `--data-dir=${this.#directory}/etcd`,
      `--listen-client-urls=${urls}`,
      `--advertise-client-urls=${urls}`,
    ];
  }

  apiServerArgv({ address, port, etcdEndpoint }: ApiServerPlace): readonly string[] {
    return [
      program('kube-apiserver'),
      `--etcd-servers=http://${etcdEndpoint}`,
      `--advertise-address=${address}`,
      '--bind-address=0.0.0.0',
      `--secure-port=${port}`,
      `--cert-dir=${this.#directory}/certificates`,
      `--token-auth-file=${this.#directory}/tokens.csv`,
      `--service-account-key-file=${this.#directory}/tokens.pub`,
      `--service-account-signing-key-file=${this.#directory}/tokens.key`,
      `--service-account-issuer=${ISSUER}`,
      '--authorization-mode=RBAC',
      // It would want every pod's ServiceAccount, which only a controller makes.
      '--disable-admission-plugins=ServiceAccount',
      '--service-cluster-ip-range=10.96.0.0/16',
      '--endpoint-reconciler-type=none',
    ];
  }

  #write(name: string, text: string | Buffer): void {
    writeFileSync(join(this.#fromHere, name), text);
  }
}

export interface ApiServerPlace {
  readonly address: string;
  readonly port: number;
  readonly etcdEndpoint: string;
}
