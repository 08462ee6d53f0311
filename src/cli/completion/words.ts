import type { Command, Option } from 'commander';

/** What can be completed, read from the program itself. */
export interface Words {
  readonly commands: readonly CommandWords[];
  readonly options: readonly OptionWords[];
}

export interface CommandWords {
  /** "status", "backend attach" */
  readonly path: string;
  readonly summary: string;
  readonly options: readonly OptionWords[];
  /** Choices of arguments, and names of subcommands. */
  readonly words: readonly string[];
}

export interface OptionWords {
  readonly flags: readonly string[];
  readonly summary: string;
  readonly takesValue: boolean;
  /** Files are completed. */
  readonly file: boolean;
  readonly choices: readonly string[];
}

export function wordsOf(program: Command): Words {
  return {
    commands: program.commands.flatMap((command) => commandWords(command, '')),
    options: program.options.map(optionWords),
  };
}

function commandWords(command: Command, parent: string): CommandWords[] {
  const path = `${parent}${command.name()}`;
  const choices = command.registeredArguments.flatMap((argument) => argument.argChoices ?? []);
  return [
    {
      path,
      summary: command.summary() || (command.description().split('\n')[0] ?? ''),
      options: command.options.map(optionWords),
      words: [...choices, ...command.commands.map((child) => child.name())],
    },
    ...command.commands.flatMap((child) => commandWords(child, `${path} `)),
  ];
}

function optionWords(option: Option): OptionWords {
  return {
    flags: [option.long, option.short].filter((flag) => flag !== undefined && flag !== null),
    summary: option.description,
    takesValue: option.required || option.optional,
    file: /<(file|path|object)>/.test(option.flags),
    choices: option.argChoices ?? [],
  };
}
