import { expect, test } from 'vitest';
import type { Namespace } from '../../../src/kube/namespace.ts';
import { PublishedObjects } from '../../../src/source/api/publishedObjects.ts';
import type { Unusable } from '../../../src/source/api/readObject.ts';
import { clusterOf, namespace, type LabelsManifest } from '../../helpers/manifests.ts';

function shop(labels: LabelsManifest): Namespace {
  return clusterOf([namespace('shop', labels)]).namespaces.get('shop') as Namespace;
}

function unusable(message: string, standIn?: Namespace): Unusable<Namespace> {
  return { kind: 'unusable', problem: { where: 'Namespace shop', line: undefined, message }, standIn };
}

test('a change that was undone before it was told is none', () => {
  const published = new PublishedObjects<Namespace>();
  const before = shop({ team: 'red' });
  expect(published.update([['shop', before]])).toBe(true);
  expect(published.takeChanged()).toEqual(new Set(['shop']));
  expect(published.update([['shop', shop({ team: 'red' })]])).toBe(false);
  expect(published.objects.get('shop')).toBe(before);
  expect(published.takeChanged()).toEqual(new Set());
});

test('what changed is named until it is asked for, though it be gone again', () => {
  const published = new PublishedObjects<Namespace>();
  published.update([['shop', shop({})]]);
  expect(published.update([['shop', undefined]])).toBe(true);
  expect(published.update([['shop', undefined]])).toBe(false);
  expect(published.objects.size).toBe(0);
  expect(published.takeChanged()).toEqual(new Set(['shop']));
});

test('what cannot be used is a problem, and its stand-in counts', () => {
  const published = new PublishedObjects<Namespace>();
  published.update([['shop', shop({ team: 'red' })]]);
  published.takeChanged();
  expect(published.update([['shop', unusable('bad', shop({}))]])).toBe(true);
  expect(published.problems.map(({ message }) => message)).toEqual(['bad']);
  expect(published.update([['shop', unusable('worse', shop({}))]])).toBe(false);
  expect(published.problems.map(({ message }) => message)).toEqual(['worse']);
  expect(published.objects).toEqual(new Map([['shop', shop({})]]));
  published.update([['shop', unusable('worst')]]);
  expect(published.objects.size).toBe(0);
  published.update([['shop', undefined]]);
  expect(published.problems).toEqual([]);
});
