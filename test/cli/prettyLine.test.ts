import { pino } from 'pino';
import { expect, test } from 'vitest';
import { prettyLine } from '../../src/cli/prettyLine.ts';

/** Returns what people read when this is logged. */
function told(log: (logger: pino.Logger) => void): string {
  let text = '';
  const options = { level: 'trace', base: null, timestamp: () => ',"time":"2026-11-21T03:00:00.000Z"' };
  log(pino(options, { write: (line) => void (text += prettyLine(line)) }));
  return text;
}

test('an entry is one line: when, how bad, what, and its fields', () => {
  expect(
    told((log) => log.info({ sets: 3, node: 'node-1', reason: 'no other is in use', pods: ['a/b'] }, 'Agent started')),
  ).toBe('2026-11-21T03:00:00.000Z info  Agent started sets=3 node=node-1 reason="no other is in use" pods=["a/b"]\n');
  expect(told((log) => log.warn('Careful'))).toBe('2026-11-21T03:00:00.000Z warn  Careful\n');
});

test('an error stands below, with where it came from', () => {
  const error = new Error('Cannot run "nft"');
  error.stack = 'Error: Cannot run "nft"\n    at x.ts:1';
  expect(told((log) => log.error({ err: error }, 'Trying again'))).toBe(
    '2026-11-21T03:00:00.000Z error Trying again\n    Error: Cannot run "nft"\n    at x.ts:1\n',
  );
});

test('what comes from outside moves no cursor and begins no line', () => {
  const hostile = 'a\u001b[2J\r\n2026 fatal all is lost\u202e\u009b';
  const error = new Error(hostile);
  const text = told((log) => log.error({ err: error, [hostile]: hostile, pods: [hostile] }, hostile));
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(text.split('\n').filter((line) => line !== '' && !/^(?:2026-11-21T03| {4})/.test(line))).toEqual([]);
});

test('what is no entry is told as it is', () => {
  expect(prettyLine('Warning: \u001b[1m x\n')).toBe('Warning: \\u{1b}[1m x\n');
});
