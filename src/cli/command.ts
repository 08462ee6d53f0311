import type { Command } from 'commander';
import { Context } from './context.js';
import { globalsOf } from './globals.js';
import type { Io } from './io.js';

/** Adds itself to the program. */
export type Register = (program: Command, io: Io) => void;

/** `args` as the argument parsers gave them. */
type Run<Options, Args extends readonly unknown[]> = (context: Context, options: Options, args: Args) => Promise<void>;

export function action<Options, Args extends readonly unknown[] = []>(
  io: Io,
  run: Run<Options, Args>,
): (...received: unknown[]) => Promise<void> {
  return async (...received) => {
    const command = received.at(-1) as Command;
    const context = new Context(io, globalsOf(command));
    try {
      await run(context, command.opts() as Options, command.processedArgs as unknown as Args);
    } finally {
      context.close();
    }
  };
}

/** Ends a command's help. */
export function examples(command: Command, lines: readonly string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ ${line}\n`).join('')}`);
}
