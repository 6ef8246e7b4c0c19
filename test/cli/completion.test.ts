import { mkdirSync, writeFileSync } from 'node:fs';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommandLine } from '../../src/cli/main.ts';
import { TemporaryDirectory } from '../helpers/temporaryDirectory.ts';

let place: TemporaryDirectory;
beforeAll(async () => {
  place = new TemporaryDirectory();
  for (const shell of ['bash', 'zsh', 'fish']) writeFileSync(place.file(`script.${shell}`), await script(shell));
  mkdirSync(place.file('a folder'));
  writeFileSync(place.file('a file.yaml'), '');
});
afterAll(() => place[Symbol.dispose]());

async function script(shell: string): Promise<string> {
  let printed = '';
  const io = { stdout: (text: string) => void (printed += text), stderr: () => {}, env: {}, executable: undefined };
  expect(await runCommandLine(['completion', shell], io)).toBe(0);
  return printed;
}

/** Returns what bash would offer for the last of these words; it splits at "=" and ":" before it asks. */
async function offered(...words: readonly string[]): Promise<readonly string[]> {
  const program = `source "$0"; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _kube_nwplcy; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await execa('bash', ['-uc', program, place.file('script.bash'), 'kube-nwplcy', ...words], {
    cwd: place.path,
  });
  return stdout.split('\n').filter((word) => word !== '');
}

describe('bash', () => {
  test('knows the commands', async () => {
    expect(await offered('')).toEqual(
      expect.arrayContaining(['agent', 'status', 'doctor', 'explain', 'completion', '--help', '--version']),
    );
    expect(await offered('st')).toEqual(['status']);
  });

  test.for<{ readonly words: readonly string[]; readonly offers: readonly string[] }>([
    { words: ['status', '--wait'], offers: ['--wait-synced'] },
    { words: ['agent', '--no'], offers: ['--node-name', '--no-share-addresses'] },
    { words: ['agent', '--backend', ''], offers: ['auto', 'nftables', 'iptables-nft', 'iptables-legacy'] },
    { words: ['agent', '--backend', 'iptables-l'], offers: ['iptables-legacy'] },
    { words: ['status', '--output', '=', 'j'], offers: ['json'] },
    { words: ['status', '--output', '='], offers: ['text', 'json'] },
    { words: ['install', '--when-agent-down', ''], offers: ['deny', 'allow'] },
    { words: ['explain', '--source', 'd'], offers: ['dir:'] },
    { words: ['explain', '--source', 'dir', ':', 'a fi'], offers: ['a file.yaml'] },
    { words: ['matrix', '--assert', 'a'], offers: ['a file.yaml', 'a folder'] },
    { words: ['doctor', '--cni-bin-dir', 'a'], offers: ['a folder'] },
    { words: ['sync', '--timeout', ''], offers: [] },
    { words: ['agent', '--node-name', 'status', '--log-format', ''], offers: ['json', 'pretty'] },
    { words: ['completion', ''], offers: ['bash', 'zsh', 'fish', '--help', '-h'] },
    { words: ['nothing', ''], offers: [] },
  ])('offers for $words', async ({ words, offers }) => {
    expect((await offered(...words)).toSorted()).toEqual(offers.toSorted());
  });
});

const hasZsh = await isInstalled('zsh');
const hasFish = await isInstalled('fish');

test.skipIf(!hasZsh)('zsh takes the script, and offers by it', { timeout: 60_000 }, async () => {
  await execa('zsh', ['-n', place.file('script.zsh')]);
  for (const [typed, completed] of [
    ['kube-nwplcy do', 'kube-nwplcy doctor '],
    ['kube-nwplcy agent --backend nf', '--backend nftables '],
    ['kube-nwplcy completion z', 'completion zsh '],
  ] as const)
    expect(await zshOffer(typed, completed)).toContain(completed);
});

test.skipIf(!hasFish)('fish takes the script, and offers by it', { timeout: 30_000 }, async () => {
  const offers = async (line: string) => {
    const { stdout } = await execa('fish', ['-c', `source ${place.file('script.fish')}; complete -C '${line}'`]);
    return stdout.split('\n').map((found) => found.split('\t')[0]);
  };
  expect(await offers('kube-nwplcy do')).toEqual(['doctor']);
  expect(await offers('kube-nwplcy agent --backend i')).toEqual(['iptables-legacy', 'iptables-nft']);
  expect(await offers('kube-nwplcy completion b')).toEqual(['bash']);
});

/** Types a line and a tab into a terminal of zsh's own, and returns what is seen when it shows what is awaited. */
async function zshOffer(line: string, awaited: string): Promise<string> {
  const program = `
    zmodload zsh/zpty
    zpty z "TERM=dumb zsh -f -i"
    zpty -w z "PROMPT='> '; autoload -U compinit; compinit -u -d ${place.file('dump')}; source ${place.file('script.zsh')}; echo is-rea''dy"
    zpty -r -m z text '*is-ready*'
    sleep .5
    zpty -w -n z '${line}'$'\\t'
    zpty -r -m z text "*$1*" && print -r -- "$text"
    zpty -d z`;
  const { stdout } = await execa('zsh', ['-fc', program, 'zsh', awaited], { timeout: 20_000 });
  return stdout;
}

async function isInstalled(shell: string): Promise<boolean> {
  return (await execa(shell, ['--version'], { reject: false })).exitCode === 0;
}
