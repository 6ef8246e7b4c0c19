import { namespace, pod, policy, type Manifest } from './manifests.ts';

/** Returns a cluster of so many pods that policies tell most of apart: the hardest there is for a page. */
export function manyPods(count: number): readonly Manifest[] {
  const namespaces = Math.max(2, Math.ceil(count / 40));
  const names = Array.from({ length: namespaces }, (_, index) => `team-${`${index}`.padStart(2, '0')}`);
  const pods = Array.from({ length: count }, (_, index) =>
    pod(`${names[index % namespaces]}/app-${index}`, {
      labels: { app: `app-${Math.floor(index / namespaces)}`, tier: index % 3 === 0 ? 'back' : 'front' },
      addresses: [`10.${index >> 8}.${index & 255}.7`],
      ports: [{ name: 'http', containerPort: 8080 }],
    }),
  );
  return [
    ...names.map((name) => namespace(name)),
    ...pods,
    ...names.flatMap((name, at) => policiesOf(name, { at, count, namespaces })),
  ];
}

interface Team {
  readonly at: number;
  readonly count: number;
  readonly namespaces: number;
}

/** Each app may be reached by the one before it, and by the fronts of the next team. */
function policiesOf(name: string, { at, count, namespaces }: Team): readonly Manifest[] {
  const next = `team-${`${(at + 1) % namespaces}`.padStart(2, '0')}`;
  return Array.from({ length: Math.floor(count / namespaces) }, (_, index) =>
    policy(`${name}/app-${index}`, {
      podSelector: { matchLabels: { app: `app-${index}` } },
      ingress: [
        { from: [{ podSelector: { matchLabels: { app: `app-${index - 1}` } } }], ports: [{ port: 'http' }] },
        {
          from: [
            {
              namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': next } },
              podSelector: { matchLabels: { tier: 'front' } },
            },
          ],
        },
      ],
    }),
  );
}
