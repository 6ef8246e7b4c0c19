import type { Command } from 'commander';
import { commandTree, type KnownOption, type Value } from './commandTree.ts';

/** Returns a script that completes a program in fish. */
export function fishCompletion(root: Command): string {
  const { program, commands } = commandTree(root);
  const own = complete(program.name);
  const first = '__fish_use_subcommand';
  const lines = [
    `${own} -f`,
    ...program.options.map((option) => `${own} -n ${first} ${optionText(option)}`),
    ...commands.flatMap(({ name, description, options, words }) => [
      `${own} -n ${first} -a ${name} -d ${quoted(description)}`,
      ...options.map((option) => `${own} -n ${quoted(`__fish_seen_subcommand_from ${name}`)} ${optionText(option)}`),
      ...(words.length === 0
        ? []
        : [`${own} -n ${quoted(`__fish_seen_subcommand_from ${name}`)} -a ${quoted(words.join(' '))}`]),
    ]),
  ];
  return `# fish completion of ${program.name}: ${program.name} completion fish | source\n${lines.join('\n')}\n`;
}

function complete(name: string): string {
  return `complete -c ${name}`;
}

function optionText({ flags, description, value }: KnownOption): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  return `${names.join(' ')}${valueText(value)} -d ${quoted(description)}`;
}

function valueText(value: Value): string {
  switch (value.kind) {
    case 'none':
      return '';
    case 'words':
      return ` -x -a ${quoted(value.words.join(' '))}`;
    case 'file':
      return ' -r -F';
    case 'directory':
      return " -x -a '(__fish_complete_directories)'";
    case 'other':
      return ' -x';
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
}
