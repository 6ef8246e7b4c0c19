import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { Cluster } from '../kube/cluster.ts';
import { DecodeError, problemText } from '../kube/decodeError.ts';
import { decodeValue, show, type Field } from '../kube/field.ts';
import { decodePortNumber, decodeProtocol } from '../kube/port.ts';
import { portText } from '../kube/portText.ts';
import type { Protocol } from '../net/protocol.ts';
import { printable, quote } from '../net/quote.ts';
import { endpointOf, UnknownEndError } from '../policy/endpointText.ts';
import { explain } from '../policy/explain.ts';
import type { Answer } from '../policy/matrix.ts';
import { NoAnswerError } from './objects.ts';

const ASPECTS = ['verdict', 'egress', 'ingress'] as const;
type Aspect = (typeof ASPECTS)[number];

/** What somebody expects of a cell; of what is not said anything is right. */
interface ExpectedCell extends Readonly<Partial<Record<Aspect, Answer>>> {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly protocol: Protocol;
}

/** A cell that is not as expected. */
export interface Difference {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly message: string;
}

/**
 * Reads a file of expected cells, YAML or JSON in the shape that `matrix --output json` prints; `from` and `to` may be addresses too, the protocol
 * is TCP if not said, and of `verdict`, `egress` and `ingress` one is enough. Throws a NoAnswerError that names all that is wrong with it.
 */
export async function readExpectedCells(path: string): Promise<readonly ExpectedCell[]> {
  try {
    const value: unknown = parse(await readFile(path, 'utf8'), { maxAliasCount: 1000, logLevel: 'error' });
    const cells = decodeValue(value, (field) => field.list('cells', decodeCell));
    if (cells.length === 0) throw new NoAnswerError(`Cannot use ${quote(path)}: it has no "cells"`);
    return cells;
  } catch (error) {
    if (error instanceof NoAnswerError || !(error instanceof Error)) throw error;
    const reasons = error instanceof DecodeError ? error.problems.map(problemText) : [firstLine(error.message)];
    throw new NoAnswerError(reasons.map((reason) => `${printable(path)}: ${printable(reason)}`).join('\n'), {
      cause: error,
    });
  }
}

function firstLine(text: string): string {
  return /^.*/.exec(text)?.[0] ?? '';
}

function decodeCell(field: Field): ExpectedCell {
  const known = ['from', 'to', 'port', 'portName', 'protocol', 'audit', ...ASPECTS];
  field.allowOnly(known, () => undefined);
  const answers = ASPECTS.flatMap((aspect) => {
    const answer = decodeAnswer(field.child(aspect));
    return answer === undefined ? [] : [[aspect, answer] as const];
  });
  if (answers.length === 0) field.fail('Missing answer: needs "verdict", "egress" or "ingress"', undefined);
  return {
    from: decodeEnd(field.child('from')),
    to: decodeEnd(field.child('to')),
    port: decodePortNumber(field.child('port')),
    protocol: decodeProtocol(field.child('protocol')),
    ...Object.fromEntries(answers),
  };
}

function decodeEnd(field: Field): string {
  return field.string() || field.fail('Missing end: needs NAMESPACE/POD or an address', '');
}

function decodeAnswer(field: Field): Answer | undefined {
  if (field.isAbsent) return undefined;
  if (field.value === 'allowed' || field.value === 'blocked') return field.value;
  return field.fail(`Cannot use ${show(field.value)}: must be "allowed" or "blocked"`, undefined);
}

/** Returns the expected cells that are otherwise in the cluster, with what they are. */
export function differences(expected: readonly ExpectedCell[], cluster: Cluster): readonly Difference[] {
  return expected.flatMap((cell) => {
    const messages = wrongWith(cell, cluster);
    const { from, to, port, protocol } = cell;
    return messages.length === 0 ? [] : [{ from, to, port, protocol, message: messages.join(', ') }];
  });
}

function wrongWith(cell: ExpectedCell, cluster: Cluster): readonly string[] {
  try {
    const { from, to, port, protocol } = cell;
    const ends = { from: endpointOf(from, cluster), to: endpointOf(to, cluster) };
    const { allowed, egress, ingress } = explain(cluster, { ...ends, port, protocol });
    const found = { verdict: allowed, egress: egress.kind !== 'refused', ingress: ingress.kind !== 'refused' };
    return ASPECTS.flatMap((aspect) => {
      const [wanted, is] = [cell[aspect], found[aspect] ? 'allowed' : 'blocked'];
      return wanted === undefined || wanted === is ? [] : [`${aspect} should be ${wanted} and is ${is}`];
    });
  } catch (error) {
    if (error instanceof UnknownEndError) return [error.message];
    throw error;
  }
}

/** Returns a difference as one line. */
export function differenceText({ from, to, port, protocol, message }: Difference): string {
  return `${printable(from)} → ${printable(to)} ${portText({ port, protocol })}: ${message}`;
}
