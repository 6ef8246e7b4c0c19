import type { Command } from 'commander';
import { commandTree, type KnownCommand, type KnownOption } from './commandTree.ts';

/** Returns a script that completes a program in bash, from 4 on, without the package bash-completion. */
export function bashCompletion(root: Command): string {
  const { program, commands } = commandTree(root);
  const all = [{ ...program, name: '', words: commands.map(({ name }) => name) }, ...commands];
  return `# bash completion of ${program.name}: source <(${program.name} completion bash)
_kube_nwplcy() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} command= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      -*) ;;
      *) command=\${COMP_WORDS[i]}; break ;;
    esac
  done
  # bash takes "=" and ":" for words of their own.
  case $cur in
    =) cur= ;;
    :) cur= prev=: ;;
    *) [[ $prev == = ]] && prev=\${COMP_WORDS[COMP_CWORD - 2]} ;;
  esac
  case "$command $prev" in
    *' :') _kube_nwplcy_paths -f; return ;;
${all.flatMap(({ name, options }) => options.flatMap((option) => valueLines(name, option))).join('\n')}
  esac
  case $command in
${all.map(wordsLine).join('\n')}
  esac
}
_kube_nwplcy_paths() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}
_kube_nwplcy_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
  [[ \${COMPREPLY-} == *: ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _kube_nwplcy ${program.name}
`;
}

function valueLines(command: string, { flags, value }: KnownOption): readonly string[] {
  if (value.kind === 'none') return [];
  const pattern = flags.map((flag) => `'${command} ${flag}'`).join(' | ');
  switch (value.kind) {
    case 'words':
      return [`    ${pattern}) _kube_nwplcy_words '${value.words.join(' ')}'; return ;;`];
    case 'file':
      return [`    ${pattern}) _kube_nwplcy_paths -f; return ;;`];
    case 'directory':
      return [`    ${pattern}) _kube_nwplcy_paths -d; return ;;`];
    case 'other':
      return [`    ${pattern}) return ;;`];
  }
}

function wordsLine({ name, options, words }: KnownCommand): string {
  const all = [...words, ...options.flatMap(({ flags }) => flags)];
  return `    '${name}') _kube_nwplcy_words '${all.join(' ')}' ;;`;
}
