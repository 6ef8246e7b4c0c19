import { defineConfig, type OxlintOverride } from 'oxlint';

// The folders of src are the data flow, and imports point one way along it.
const folders = [
  'net',
  'files',
  'kube',
  'policy',
  'page',
  'browser',
  'source',
  'rules',
  'trace',
  'dataplane',
  'rendezvous',
  'agent',
  'cni',
  'install',
  'doctor',
  'cli',
] as const;
type Folder = (typeof folders)[number];

// What a folder may import, besides itself.
const imports: Readonly<Record<Folder, readonly Folder[]>> = {
  net: [],
  files: [],
  kube: ['net'],
  policy: ['net', 'kube'],
  page: ['net', 'kube', 'policy'],
  browser: ['net', 'kube', 'policy', 'page'],
  source: ['net', 'kube', 'policy'],
  rules: ['net', 'kube', 'policy'],
  trace: ['net', 'kube', 'rules'],
  dataplane: ['net', 'files', 'kube', 'policy', 'rules', 'trace'],
  rendezvous: ['net', 'files', 'kube', 'policy', 'source', 'rules'],
  agent: ['net', 'kube', 'policy', 'page', 'source', 'rules', 'dataplane', 'rendezvous'],
  cni: ['net', 'files', 'kube', 'policy', 'rules', 'dataplane', 'rendezvous'],
  install: ['net', 'files', 'rules', 'dataplane', 'cni'],
  doctor: ['net', 'files', 'rules', 'dataplane', 'rendezvous', 'install'],
  cli: [
    'net',
    'kube',
    'policy',
    'page',
    'source',
    'rules',
    'trace',
    'dataplane',
    'rendezvous',
    'agent',
    'install',
    'doctor',
  ],
};

type Restriction = { readonly group: string[]; readonly message: string };

export default defineConfig({
  plugins: ['eslint', 'typescript', 'unicorn', 'oxc', 'import', 'promise', 'node', 'vitest'],
  categories: { correctness: 'error', suspicious: 'error' },
  options: { typeAware: true, denyWarnings: true, reportUnusedDisableDirectives: 'error' },
  rules: {
    'consistent-return': 'off', // tsc's noImplicitReturns knows an exhaustive switch
    eqeqeq: 'error',
    'import/no-cycle': 'error',
    'import/no-named-as-default-member': 'off', // fc.assert
    'max-depth': ['error', { max: 3 }],
    'max-params': ['error', { max: 3 }],
    'no-console': 'error',
    'typescript/consistent-type-imports': 'error',
    'typescript/no-deprecated': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/no-non-null-assertion': 'error',
    'typescript/no-unsafe-argument': 'error',
    'typescript/no-unsafe-assignment': 'error',
    'typescript/no-unsafe-call': 'error',
    'typescript/no-unsafe-member-access': 'error',
    'typescript/no-unsafe-return': 'error',
    'typescript/only-throw-error': 'error',
    'typescript/no-unsafe-type-assertion': 'off', // narrows a type that was just looked at; `any` itself is caught above
    'typescript/switch-exhaustiveness-check': 'error',
    'unicorn/consistent-function-scoping': 'off', // a small function may stand where it is used
    'unicorn/no-array-sort': 'off', // on an array just made
    'unicorn/prefer-node-protocol': 'error',
    'vitest/valid-expect': ['error', { maxArgs: 2 }], // the second says what it is about
    'vitest/expect-expect': ['error', { assertFunctionNames: ['expect', 'fc.assert', 'assert*'] }],
  },
  overrides: [
    ...folders.map(folderOverride),
    {
      files: ['src/*/**'],
      rules: { 'no-restricted-properties': ['error', ...['argv', 'env', 'exit'].map(onlyInMain)] },
    },
    // What a test read, it asserts.
    {
      files: ['test/**'],
      rules: { 'typescript/no-unsafe-assignment': 'off', 'typescript/no-unsafe-member-access': 'off' },
    },
  ],
});

function folderOverride(folder: Folder): OxlintOverride {
  return {
    files: [`src/${folder}/**`],
    rules: { 'no-restricted-imports': ['error', { patterns: restrictions(folder) }] },
  };
}

function restrictions(folder: Folder): Restriction[] {
  const allowed: readonly Folder[] = [folder, ...imports[folder]];
  const against = folders.filter((other) => !allowed.includes(other)).map((other) => `**/${other}/**`);
  return [
    { group: [...against, '**/main.ts'], message: `src/${folder} may import from: ${allowed.join(', ')}` },
    ...outsideRestrictions(folder),
  ];
}

/** Which packages and modules of Node a folder does without. */
function outsideRestrictions(folder: Folder): readonly Restriction[] {
  const addresses = { group: ['ip-num'], message: 'Address arithmetic stays behind src/net' };
  const programs = { group: ['execa', 'node:child_process'], message: 'Only src/dataplane runs programs' };
  const libraries = ['execa', 'pino', 'yaml', 'commander', 'ip-num', '**/log.ts'];
  switch (folder) {
    case 'net':
      return [{ group: ['node:*', ...libraries.filter((name) => name !== 'ip-num')], message: 'src/net is pure' }];
    case 'kube':
    case 'policy':
    case 'page':
    case 'browser':
    case 'rules':
    case 'trace':
      return [{ group: ['node:*', ...libraries], message: `src/${folder} is pure` }];
    case 'files':
    case 'rendezvous':
    case 'cni':
      return [
        programs,
        { group: libraries, message: 'The plugin loads no library: each costs every ADD milliseconds' },
      ];
    case 'dataplane':
      return [addresses];
    case 'source':
    case 'agent':
    case 'install':
    case 'doctor':
    case 'cli':
      return [addresses, programs];
  }
}

function onlyInMain(property: string) {
  return { object: 'process', property, message: 'Only src/main.ts reads the environment and ends the process' };
}
