import type { Command } from 'commander';
import { commandTree, type KnownCommand, type KnownOption, type Value } from './commandTree.ts';

/** Returns a script that completes a program in zsh, sourced after compinit or as a file `_kube-nwplcy` in fpath. */
export function zshCompletion(root: Command): string {
  const { program, commands } = commandTree(root);
  return `#compdef ${program.name}
# zsh completion of ${program.name}: source <(${program.name} completion zsh)
_kube_nwplcy() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  _arguments -C \\
${program.options.map((option) => `    ${optionSpec(option)} \\\n`).join('')}    '1: :->command' '*:: :->rest'
  case $state in
    command)
      local -a commands=(
${commands.map(({ name, description }) => `        ${quoted(`${name}:${escaped(description, /[\\:]/g)}`)}\n`).join('')}      )
      _describe command commands
      ;;
    rest)
      case $line[1] in
${commands.map(commandCase).join('')}      esac
      ;;
  esac
}
if [ "\${funcstack[1]}" = _kube_nwplcy ]; then _kube_nwplcy "$@"; else compdef _kube_nwplcy ${program.name}; fi
`;
}

function commandCase({ name, options, words }: KnownCommand): string {
  const specs = [...options.map(optionSpec), ...(words.length === 0 ? [] : [quoted(`1: :(${words.join(' ')})`)])];
  return `        ${name}) _arguments ${specs.join(' ')} ;;\n`;
}

function optionSpec({ flags, description, value }: KnownOption): string {
  const said = `[${escaped(description, /[\\[\]:]/g)}]${valueSpec(value)}`;
  const assign = value.kind === 'none' ? '' : '=';
  return flags.map((flag) => quoted(`${flag}${flag.startsWith('--') ? assign : ''}${said}`)).join(' ');
}

function valueSpec(value: Value): string {
  switch (value.kind) {
    case 'none':
      return '';
    case 'words':
      return `:${escaped(value.name, /[\\:]/g)}:(${value.words.map((word) => escaped(word, /[\\:]/g)).join(' ')})`;
    case 'file':
      return `:${value.name}:_files`;
    case 'directory':
      return `:${value.name}:_files -/`;
    case 'other':
      return `:${escaped(value.name, /[\\:]/g)}: `;
  }
}

function escaped(text: string, special: RegExp): string {
  return text.replaceAll(special, String.raw`\$&`);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
