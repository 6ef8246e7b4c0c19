import { describe, expect, test } from 'vitest';
import { decodeObjects } from '../../src/kube/decode.ts';
import { auditedIn } from '../../src/agent/audited.ts';
import { clusterOf, namespace, policy, type Manifest } from '../helpers/manifests.ts';

function annotated(manifest: Manifest, mode: unknown): Manifest {
  const metadata = manifest['metadata'] as Manifest;
  return { ...manifest, metadata: { ...metadata, annotations: { 'kube-nwplcy.io/mode': mode, other: 'x' } } };
}

describe.for([
  ['a namespace', namespace('shop')],
  ['a policy', policy('shop/deny', { podSelector: {} })],
] as const)('%s', ([, manifest]) => {
  const auditOf = (one: Manifest) => decodeObjects(one).map((object) => 'audit' in object && object.audit);

  test('is in audit mode by its annotation alone', () => {
    expect(auditOf(annotated(manifest, 'audit'))).toEqual([true]);
    for (const mode of [undefined, null]) expect(auditOf(annotated(manifest, mode))).toEqual([false]);
    expect(auditOf(manifest)).toEqual([false]);
  });

  test.for(['Audit', 'enforce', '', ' audit', true, {}])('refuses the mode %j, and says where', (mode) => {
    expect(() => decodeObjects(annotated(manifest, mode))).toThrow(
      /^metadata\.annotations\["kube-nwplcy\.io\/mode"\]: Cannot use /,
    );
  });
});

test('what is in audit mode is told by name', () => {
  const cluster = clusterOf([
    namespace('shop'),
    annotated(namespace('lab'), 'audit'),
    annotated(policy('shop/deny', { podSelector: {} }), 'audit'),
    policy('shop/other', { podSelector: {} }),
  ]);
  expect(auditedIn(cluster)).toEqual(['namespace lab', 'policy shop/deny']);
});
