import { Argument } from 'commander';
import { action, examples, type Register } from '../command.js';
import type { Words } from '../completion/words.js';

type Shell = 'bash' | 'zsh' | 'fish';

export const registerCompletion: Register = (program, io) => {
  const command = program
    .command('completion')
    .summary('print a completion script for a shell')
    .description('Prints a script that completes commands and options of spillway in bash, zsh or fish.')
    .addArgument(new Argument('<shell>', 'for which shell').choices(['bash', 'zsh', 'fish']))
    .action(
      action<object, [Shell]>(io, async (context, _, [shell]) => {
        const { wordsOf } = await import('../completion/words.js');
        await context.print(await scriptFor(shell, wordsOf(program)));
      }),
    );
  examples(command, [
    'eval "$(spillway completion bash)"',
    'spillway completion zsh > ~/.zfunc/_spillway   # a folder in fpath',
    'spillway completion fish > ~/.config/fish/completions/spillway.fish',
  ]);
};

async function scriptFor(shell: Shell, words: Words): Promise<string> {
  switch (shell) {
    case 'bash':
      return (await import('../completion/bash.js')).bashCompletion(words);
    case 'zsh':
      return (await import('../completion/zsh.js')).zshCompletion(words);
    case 'fish':
      return (await import('../completion/fish.js')).fishCompletion(words);
  }
}
