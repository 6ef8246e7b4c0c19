import { describe, expect, test } from 'vitest';
import { compile } from '../../src/policy/compile.ts';
import { evaluate } from '../../src/policy/evaluate.ts';
import { explain } from '../../src/policy/explain.ts';
import { matrix } from '../../src/policy/matrix.ts';
import { wantedPolicy } from '../../src/rules/wanted.ts';
import { clusterOf, namespace, pod, policy, type Manifest } from '../helpers/manifests.ts';

const AUDIT = { annotations: { 'kube-nwplcy.io/mode': 'audit' } };
const audited = (manifest: Manifest): Manifest => ({
  ...manifest,
  metadata: { ...(manifest['metadata'] as Manifest), ...AUDIT },
});

const WEB = pod('shop/web', { labels: { app: 'web' }, addresses: ['10.0.0.1'] });
const DB = pod('shop/db', {
  labels: { app: 'db' },
  addresses: ['10.0.0.2'],
  ports: [{ name: 'redis', containerPort: 6379 }],
});
const DENY = policy('shop/deny', { podSelector: {}, policyTypes: ['Ingress'] });
const ALLOW = policy('shop/allow', { podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] });

const END = { kind: 'pod', namespace: 'shop' } as const;

/** What the ingress of the database says to the web pod at a port. */
function ingressAt(port: number, ...manifests: readonly Manifest[]) {
  const cluster = clusterOf([WEB, DB, ...manifests]);
  const flow = { from: { ...END, name: 'web' }, to: { ...END, name: 'db' }, protocol: 'TCP', port } as const;
  const { allowed, ingress } = evaluate(cluster, flow);
  const by = 'by' in ingress ? ingress.by.map((one) => one.policy) : [];
  const wanted = wantedPolicy(compile(cluster, 'node-1'));
  return { allowed, kind: ingress.kind, by, judged: wanted.judgements.get('shop/db')?.ingress.kind };
}

describe('a pod that is selected', () => {
  test('by policies in audit mode alone is not isolated, and what they do not allow is told', () => {
    const refused = { allowed: true, kind: 'audited', by: ['shop/deny'], judged: 'audit' };
    expect(ingressAt(81, audited(DENY))).toEqual(refused);
    expect(ingressAt(81, DENY, { ...namespace('shop'), metadata: { name: 'shop', ...AUDIT } })).toEqual(refused);
  });

  test('by one that is not is isolated, and what those in audit mode allow stays allowed', () => {
    expect(ingressAt(81, DENY, audited(ALLOW))).toEqual({
      allowed: false,
      kind: 'refused',
      by: ['shop/deny'],
      judged: 'profile',
    });
    expect(ingressAt(80, DENY, audited(ALLOW))).toMatchObject({ allowed: true, kind: 'allowed', by: ['shop/allow'] });
    expect(ingressAt(80, audited(DENY), ALLOW)).toMatchObject({ allowed: true, kind: 'allowed' });
    expect(ingressAt(81, audited(DENY), ALLOW)).toMatchObject({ allowed: false, kind: 'refused', by: ['shop/allow'] });
  });

  test('by one of another namespace that is in audit mode is as isolated as ever', () => {
    const other = { ...namespace('other'), metadata: { name: 'other', ...AUDIT } };
    expect(ingressAt(81, DENY, other)).toMatchObject({ allowed: false, judged: 'profile' });
  });
});

test('explain says that it passes by audit mode alone', () => {
  const cluster = clusterOf([WEB, DB, audited(DENY)]);
  const flow = { from: { ...END, name: 'web' }, to: { ...END, name: 'db' }, protocol: 'TCP', port: 81 } as const;
  expect(explain(cluster, flow)).toMatchObject({
    allowed: true,
    ingress: { kind: 'audited', by: [{ policy: 'shop/deny', nearest: undefined }] },
  });
});

test('a cell of the matrix stays allowed, and tells of audit mode', () => {
  const cells = (...manifests: readonly Manifest[]) => [...matrix(clusterOf([WEB, DB, ...manifests])).cells()];
  const cell = { from: 'shop/web', to: 'shop/db', verdict: 'allowed', egress: 'allowed', ingress: 'allowed' };
  const [found] = cells(audited(DENY)).filter(({ from }) => from === 'shop/web');
  expect(found).toMatchObject({ ...cell, audit: true });
  expect(cells().some((one) => 'audit' in one)).toBe(false);
});

test('profiles of the same rules are others in audit mode', () => {
  const chainOf = (one: Manifest) => {
    const judgement = wantedPolicy(compile(clusterOf([DB, one]), 'node-1')).judgements.get('shop/db')?.ingress;
    return judgement !== undefined && 'chain' in judgement ? judgement.chain : undefined;
  };
  expect(chainOf(DENY)).toBeDefined();
  expect(chainOf(audited(DENY))).not.toBe(chainOf(DENY));
});
