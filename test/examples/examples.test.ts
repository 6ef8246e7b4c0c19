import { readFileSync } from 'node:fs';
import { describe, test } from 'vitest';
import { evaluate } from '../../src/policy/evaluate.ts';
import { readManifest } from '../../src/source/manifest.ts';
import { loadExamples, loadRefusedExamples, withAddresses } from '../helpers/examples.ts';
import type { Example } from '../helpers/examples.ts';
import { clusterOf } from '../helpers/manifests.ts';

describe.for(loadExamples())('$name', (example) => {
  test('decodes to policies and pods, at most seven of them', async ({ expect }) => {
    const manifest = await readManifest(readFileSync(example.file, 'utf8'));
    expect(manifest).toMatchObject({ kind: 'valid', objects: example.policies.map(() => ({})) });
    const { pods, policies } = clusterOf([...example.cluster, ...example.policies]);
    expect([...pods.keys()]).toEqual([...example.addresses.keys()]);
    expect(pods.size).toBeLessThanOrEqual(7);
    expect(policies.size).toBeGreaterThan(0);
  });

  test('allows something and blocks something', ({ expect }) => {
    expect(new Set(example.cells.map((cell) => cell.verdict))).toEqual(new Set(['allow', 'block']));
  });

  test('has the verdicts that evaluate gives', ({ expect }) => {
    const addresses = addressesFor(example);
    const cluster = clusterOf([...withAddresses(example, addresses), ...example.policies]);
    const endpoint = (key: string, index: number) => {
      const [namespace = '', name = ''] = key.split('/');
      return { kind: 'pod' as const, namespace, name, address: addresses.get(key)?.[index] ?? '' };
    };
    const wrong = example.cells.filter(({ from, to, port, protocol, family, verdict }) => {
      const index = family === 'ipv4' ? 0 : 1;
      const flow = { from: endpoint(from, index), to: endpoint(to, index), port, protocol };
      return evaluate(cluster, flow).allowed !== (verdict === 'allow');
    });
    expect(wrong).toEqual([]);
  });
});

test.for(loadRefusedExamples())('$name is refused by path and line', async ({ file, problems }, { expect }) => {
  const manifest = await readManifest(readFileSync(file, 'utf8'));
  const found = manifest.kind === 'invalid' ? manifest.problems : [];
  expect(found.map(({ line, message }) => ({ line, path: message.split(':')[0] }))).toEqual(problems);
});

/** Returns an address of each family for every pod: those it must have, and others outside of every network of the examples. */
function addressesFor(example: Example): ReadonlyMap<string, readonly string[]> {
  return new Map(
    Array.from(example.addresses, ([key, [ipv4, ipv6]], index) => [
      key,
      [ipv4 ?? `10.244.0.${index + 1}`, ipv6 ?? `fd00:244::${index + 1}`],
    ]),
  );
}
