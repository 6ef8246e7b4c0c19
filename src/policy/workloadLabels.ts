import type { Labels } from '../kube/labels.ts';

/** Labels by which people and charts tell workloads, the best first; each may come with others that say more of it. */
const TELLING: readonly (readonly [key: string, ...more: string[]])[] = [
  ['app.kubernetes.io/name', 'app.kubernetes.io/instance', 'app.kubernetes.io/component'],
  ['app'],
  ['k8s-app'],
  ['app.kubernetes.io/instance'],
  ['name'],
];

/** Labels that controllers give, and that the next pod of the same workload does not have. */
const PASSING = new Set([
  'pod-template-hash',
  'controller-revision-hash',
  'pod-template-generation',
  'statefulset.kubernetes.io/pod-name',
  'apps.kubernetes.io/pod-index',
  'controller-uid',
  'batch.kubernetes.io/controller-uid',
  'job-name',
  'batch.kubernetes.io/job-name',
  'batch.kubernetes.io/job-completion-index',
]);

/** Returns the labels that tell a pod's workload and outlast the pod: the fewest first, then all. Empty ones are left out. */
export function workloadLabels(labels: Labels): readonly Labels[] {
  const lasting = new Map([...labels].filter(([key]) => !PASSING.has(key)));
  const keys: readonly string[] = TELLING.find(([key]) => lasting.has(key)) ?? [];
  const telling = new Map([...lasting].filter(([key]) => keys.includes(key)));
  return [telling, lasting].filter(({ size }) => size > 0);
}
