import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { explainCommand } from '../../src/cli/explain.ts';
import { matrixCommand } from '../../src/cli/matrix.ts';
import { runCommand } from '../helpers/commandLine.ts';

const GUIDE = readFileSync('docs/matrix.md', 'utf8');
const COMMANDS = { matrix: matrixCommand, explain: explainCommand } as const;

const shown = [...GUIDE.matchAll(/^```console\n\$ kube-nwplcy (matrix|explain) (.*)\n([^]*?)\n```$/gm)].map(
  ([, name, args = '', output = '']) => ({ name: name as keyof typeof COMMANDS, args, output }),
);

describe('the guide', () => {
  test('has examples', () => {
    expect(shown.length).toBeGreaterThan(3);
  });

  test.for(shown)('shows what is printed: $name $args', async ({ name, args, output }) => {
    const { stdout } = await runCommand(COMMANDS[name], args.split(' '), { COLUMNS: '110' });
    expect(stdout.trimEnd()).toBe(output);
  });

  test('shows the cells that the example expects, one that is printed, and pictures that are there', async () => {
    expect(GUIDE).toContain(readFileSync('docs/example/expected.yaml', 'utf8').trimEnd());
    const [, line = ''] = /```json\n(.*)\n```/.exec(GUIDE) ?? [];
    const { stdout } = await runCommand(matrixCommand, ['--source', 'dir:docs/example/shop', '--output', 'json']);
    expect(stdout).toContain(line);
    const pictures = [...GUIDE.matchAll(/\]\((images\/[^)]*)\)/g)].map(([, path]) => `docs/${path}`);
    expect(pictures.length).toBeGreaterThan(3);
    expect(pictures.filter((path) => !existsSync(path))).toEqual([]);
  });
});
