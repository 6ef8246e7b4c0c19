import { expect, test } from 'vitest';
import { parseCniArgs } from '../../src/cni/args.ts';
import { toCniError } from '../../src/cni/errors.ts';

function problemOf(text: string): string {
  try {
    return `none: ${JSON.stringify(parseCniArgs(text))}`;
  } catch (error) {
    const { code, message } = toCniError(error);
    return `${code} ${message}`;
  }
}

const POD = 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0';

test.for([
  ['IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u1', 'u1'],
  ['K8S_POD_UID=u1;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=c1;IgnoreUnknown=true;K8S_POD_NAMESPACE=shop', 'u1'],
  [POD, undefined],
  [`${POD};K8S_POD_UID=`, undefined],
  [`IgnoreUnknown=1;MAC=c2:b0:57:49:47:f1;${POD}`, undefined],
] as const)('%s names the pod shop/web-0', ([text, uid]) => {
  expect(parseCniArgs(text)).toEqual({ namespace: 'shop', name: 'web-0', uid });
});

test.for([
  '',
  'IgnoreUnknown=1',
  'IgnoreUnknown=1;FOO=BAR',
  'K8S_POD_NAMESPACE=shop',
  'K8S_POD_NAME=web-0',
  'K8S_POD_UID=u1',
])('%j names no pod', (text) => {
  expect(parseCniArgs(text)).toBeUndefined();
});

test.for([
  ['FOO=BAR', 'unknown "FOO" without IgnoreUnknown=1'],
  ['FOO=BAR;BAR=FOO;IgnoreUnknown=0', 'unknown "FOO", "BAR" without IgnoreUnknown=1'],
  ['IgnoreUnknown=yes;FOO=BAR', 'IgnoreUnknown must be 1, 0, true or false'],
  ['K8S_POD_NAME', '"K8S_POD_NAME" is not of the form KEY=VALUE'],
  [`${POD};`, '"" is not of the form KEY=VALUE'],
  ['=x', '"=x" is not of the form KEY=VALUE'],
  ['K8S_POD_NAME=a=b', '"K8S_POD_NAME=a=b" is not of the form KEY=VALUE'],
  ['K8S_POD_NAME=a;K8S_POD_NAME=b', '"K8S_POD_NAME" comes twice'],
  ['K8S_POD_NAMESPACE=;K8S_POD_NAME=a', 'K8S_POD_NAMESPACE is not a DNS label (RFC 1123)'],
  ['K8S_POD_NAMESPACE=..;K8S_POD_NAME=a', 'K8S_POD_NAMESPACE is not a DNS label (RFC 1123)'],
  ['K8S_POD_NAMESPACE=a/b;K8S_POD_NAME=a', 'K8S_POD_NAMESPACE is not a DNS label (RFC 1123)'],
  ['K8S_POD_NAMESPACE=a.b;K8S_POD_NAME=a', 'K8S_POD_NAMESPACE is not a DNS label (RFC 1123)'],
  [`K8S_POD_NAMESPACE=${'a'.repeat(64)};K8S_POD_NAME=a`, 'K8S_POD_NAMESPACE is not a DNS label (RFC 1123)'],
  ['K8S_POD_NAMESPACE=a;K8S_POD_NAME=', 'K8S_POD_NAME is not a DNS subdomain (RFC 1123)'],
  ['K8S_POD_NAMESPACE=a;K8S_POD_NAME=..', 'K8S_POD_NAME is not a DNS subdomain (RFC 1123)'],
  ['K8S_POD_NAMESPACE=a;K8S_POD_NAME=../x', 'K8S_POD_NAME is not a DNS subdomain (RFC 1123)'],
  ['K8S_POD_NAMESPACE=a;K8S_POD_NAME=a..b', 'K8S_POD_NAME is not a DNS subdomain (RFC 1123)'],
  ['K8S_POD_NAMESPACE=a;K8S_POD_NAME=a"\n-j ACCEPT', 'K8S_POD_NAME is not a DNS subdomain (RFC 1123)'],
  ['K8S_POD_NAMESPACE=a;K8S_POD_NAME=Web', 'K8S_POD_NAME is not a DNS subdomain (RFC 1123)'],
  [`K8S_POD_NAMESPACE=a;K8S_POD_NAME=${'a'.repeat(254)}`, 'K8S_POD_NAME is not a DNS subdomain (RFC 1123)'],
] as const)('%j is refused', ([text, problem]) => {
  expect(problemOf(text)).toBe(`4 Cannot use CNI_ARGS: ${problem}`);
});

test('the longest names are taken', () => {
  const pod = { namespace: 'n'.repeat(63), name: `a.${'b'.repeat(251)}` };
  expect(parseCniArgs(`K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name}`)).toEqual({
    ...pod,
    uid: undefined,
  });
});
