import type { Manifest, PodManifest } from '../test/lab/manifests.ts';

/**
 * Returns the object of a pod with all that the API server, the scheduler and a kubelet write into it beside what policies look at, some 5 kB. What
 * all pods have alike they share, so that many fit into memory.
 */
export function realistic({ metadata, spec, status, ...rest }: PodManifest): Manifest {
  const [container] = CONTAINERS;
  return {
    ...rest,
    metadata: { ...metadata, ...METADATA },
    spec: { ...SPEC, ...(spec as object), containers: CONTAINERS },
    status: { ...(status as object), ...STATUS, containerStatuses: [{ ...RUNNING, name: container?.name }] },
  };
}

const TIME = '2026-01-05T10:20:30Z';

const METADATA = {
  generateName: 'app-6c9f4d6b5-',
  creationTimestamp: TIME,
  annotations: {
    'kubectl.kubernetes.io/restartedAt': TIME,
    'prometheus.io/scrape': 'true',
    'prometheus.io/port': '9090',
    'checksum/config': '7d5c1f9ab1ac83fcdb6e2f2d9a7e6b0f3c5e4a8d9b1f2c3d4e5f60718293a4b5',
  },
  ownerReferences: [
    {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      name: 'app-6c9f4d6b5',
      uid: '7b0c9e1e-2d5a-4c5e-8f0e-1a2b3c4d5e6f',
      controller: true,
      blockOwnerDeletion: true,
    },
  ],
  managedFields: [
    {
      manager: 'kube-controller-manager',
      operation: 'Update',
      apiVersion: 'v1',
      time: TIME,
      fieldsType: 'FieldsV1',
      fieldsV1: {
        'f:metadata': {
          'f:annotations': {
            '.': {},
            'f:kubectl.kubernetes.io/restartedAt': {},
            'f:prometheus.io/scrape': {},
            'f:prometheus.io/port': {},
            'f:checksum/config': {},
          },
          'f:generateName': {},
          'f:labels': { '.': {}, 'f:app': {}, 'f:tier': {}, 'f:pod-template-hash': {} },
          'f:ownerReferences': { '.': {}, 'k:{"uid":"7b0c9e1e-2d5a-4c5e-8f0e-1a2b3c4d5e6f"}': {} },
        },
        'f:spec': {
          'f:containers': {
            'k:{"name":"main"}': {
              '.': {},
              'f:env': { '.': {}, 'k:{"name":"LOG_LEVEL"}': { '.': {}, 'f:name': {}, 'f:value': {} } },
              'f:image': {},
              'f:imagePullPolicy': {},
              'f:livenessProbe': {
                '.': {},
                'f:failureThreshold': {},
                'f:httpGet': { '.': {}, 'f:path': {}, 'f:port': {}, 'f:scheme': {} },
                'f:periodSeconds': {},
                'f:successThreshold': {},
                'f:timeoutSeconds': {},
              },
              'f:name': {},
              'f:ports': {
                '.': {},
                'k:{"containerPort":8080,"protocol":"TCP"}': {
                  '.': {},
                  'f:containerPort': {},
                  'f:name': {},
                  'f:protocol': {},
                },
              },
              'f:resources': {
                '.': {},
                'f:limits': { '.': {}, 'f:memory': {} },
                'f:requests': { '.': {}, 'f:cpu': {}, 'f:memory': {} },
              },
              'f:terminationMessagePath': {},
              'f:terminationMessagePolicy': {},
            },
          },
          'f:dnsPolicy': {},
          'f:enableServiceLinks': {},
          'f:restartPolicy': {},
          'f:schedulerName': {},
          'f:securityContext': {},
          'f:serviceAccount': {},
          'f:serviceAccountName': {},
          'f:terminationGracePeriodSeconds': {},
        },
      },
    },
    {
      manager: 'kubelet',
      operation: 'Update',
      apiVersion: 'v1',
      time: TIME,
      fieldsType: 'FieldsV1',
      fieldsV1: {
        'f:status': {
          'f:conditions': Object.fromEntries(
            ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady'].map((type) => [
              `k:{"type":"${type}"}`,
              { '.': {}, 'f:lastProbeTime': {}, 'f:lastTransitionTime': {}, 'f:status': {}, 'f:type': {} },
            ]),
          ),
          'f:containerStatuses': {},
          'f:hostIP': {},
          'f:hostIPs': {},
          'f:phase': {},
          'f:podIP': {},
          'f:podIPs': { '.': {}, 'k:{"ip":"10.100.0.1"}': { '.': {}, 'f:ip': {} } },
          'f:startTime': {},
        },
      },
      subresource: 'status',
    },
  ],
};

const CONTAINERS = [
  {
    name: 'main',
    image: 'registry.example.com/team/app:v1.42.3',
    ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
    env: [{ name: 'LOG_LEVEL', value: 'info' }],
    resources: { limits: { memory: '512Mi' }, requests: { cpu: '100m', memory: '256Mi' } },
    volumeMounts: [
      { name: 'kube-api-access-x7k2p', readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
    ],
    livenessProbe: {
      httpGet: { path: '/healthz', port: 'http', scheme: 'HTTP' },
      timeoutSeconds: 1,
      periodSeconds: 10,
      successThreshold: 1,
      failureThreshold: 3,
    },
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: 'IfNotPresent',
  },
];

const SPEC = {
  volumes: [
    {
      name: 'kube-api-access-x7k2p',
      projected: {
        sources: [
          { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
          { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
          {
            downwardAPI: {
              items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
            },
          },
        ],
        defaultMode: 420,
      },
    },
  ],
  restartPolicy: 'Always',
  terminationGracePeriodSeconds: 30,
  dnsPolicy: 'ClusterFirst',
  serviceAccountName: 'default',
  serviceAccount: 'default',
  securityContext: {},
  schedulerName: 'default-scheduler',
  tolerations: ['not-ready', 'unreachable'].map((taint) => ({
    key: `node.kubernetes.io/${taint}`,
    operator: 'Exists',
    effect: 'NoExecute',
    tolerationSeconds: 300,
  })),
  priority: 0,
  enableServiceLinks: true,
  preemptionPolicy: 'PreemptLowerPriority',
};

const STATUS = {
  conditions: ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({
    type,
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: TIME,
  })),
  hostIP: '10.0.12.34',
  hostIPs: [{ ip: '10.0.12.34' }],
  startTime: TIME,
  qosClass: 'Burstable',
};

const RUNNING = {
  state: { running: { startedAt: TIME } },
  lastState: {},
  ready: true,
  restartCount: 0,
  image: 'registry.example.com/team/app:v1.42.3',
  imageID: 'registry.example.com/team/app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  containerID: 'containerd://2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae',
  started: true,
};
