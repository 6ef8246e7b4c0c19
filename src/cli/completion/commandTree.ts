import type { Command, Option } from 'commander';

/** What comes after an option. */
export type Value =
  | { readonly kind: 'none' }
  | { readonly kind: 'file' | 'directory' | 'other'; readonly name: string }
  /** These, and where one of them ends in a colon, a path behind it. */
  | { readonly kind: 'words'; readonly name: string; readonly words: readonly string[] };

export interface KnownOption {
  /** `--output`, and the short one if there is any. */
  readonly flags: readonly string[];
  readonly description: string;
  readonly value: Value;
}

export interface KnownCommand {
  readonly name: string;
  readonly description: string;
  readonly options: readonly KnownOption[];
  /** What may stand without a flag. */
  readonly words: readonly string[];
}

/** Returns what a shell needs to know of a program: its own options, and its commands with theirs, as commander knows them. */
export function commandTree(program: Command): {
  readonly program: KnownCommand;
  readonly commands: readonly KnownCommand[];
} {
  const commands = program.createHelp().visibleCommands(program).map(knownCommand);
  return { program: knownCommand(program), commands };
}

function knownCommand(command: Command): KnownCommand {
  const help = command.createHelp();
  return {
    name: command.name(),
    description: command.description(),
    options: help.visibleOptions(command).map(knownOption),
    words: command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices),
  };
}

function knownOption(option: Option): KnownOption {
  return {
    flags: [option.long, option.short].filter((flag) => flag !== undefined && flag !== null),
    description: option.description,
    value: valueOf(option),
  };
}

function valueOf({ flags, argChoices }: Option): Value {
  const name = /<([^>]+)>/.exec(flags)?.[1];
  if (name === undefined) return { kind: 'none' };
  if (argChoices !== undefined) return { kind: 'words', name, words: argChoices };
  if (name === 'source') return { kind: 'words', name, words: ['kube', 'dir:'] };
  // As in --when-agent-down <deny|allow>.
  if (name.includes('|')) return { kind: 'words', name, words: name.split('|') };
  return { kind: KINDS[name] ?? 'other', name };
}

/** By the word in the option's flags: `--kubeconfig <file>`. */
const KINDS: Readonly<Record<string, 'file' | 'directory'>> = { file: 'file', path: 'file', dir: 'directory' };
