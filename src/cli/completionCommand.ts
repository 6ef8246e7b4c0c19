import { Argument, Command } from 'commander';
import { bashCompletion } from './completion/bash.ts';
import { fishCompletion } from './completion/fish.ts';
import { zshCompletion } from './completion/zsh.ts';
import type { CommandIo } from './io.ts';

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

/** `completion`: a script by which a shell completes this program's commands, flags and values. */
export function completionCommand(io: CommandIo): Command {
  return new Command('completion')
    .description('print a script by which a shell completes commands, flags and their values')
    .addArgument(new Argument('<shell>', 'for which shell').choices(Object.keys(SHELLS)))
    .addHelpText('after', HELP)
    .action((shell: keyof typeof SHELLS, _: unknown, command: Command) => {
      io.stdout(SHELLS[shell](command.parent ?? command));
      io.exitCode(0);
    });
}

const HELP = `
Examples, for this session and for all that follow:
  source <(kube-nwplcy completion bash)
  kube-nwplcy completion bash >/etc/bash_completion.d/kube-nwplcy
  kube-nwplcy completion zsh >"\${fpath[1]}/_kube-nwplcy"
  kube-nwplcy completion fish >~/.config/fish/completions/kube-nwplcy.fish

Exit codes: 0; 2 bad usage.`;
