import { createInterface } from 'node:readline/promises';
import { type Context, requireUsage } from './context.js';
import { CommandError } from './errors.js';

/** Asks on a terminal; elsewhere nobody can answer, so the option has to say it. */
export async function confirm(context: Context, question: string, yes: boolean): Promise<void> {
  if (yes) return;
  const { stdin, stderr } = context.io;
  requireUsage(stdin.isTTY === true && stderr.isTTY === true, 'no terminal to ask on: say it with --yes');
  const terminal = createInterface({ input: stdin, output: stderr });
  try {
    const answer = await terminal.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError('not confirmed, nothing was changed');
  } finally {
    terminal.close();
  }
}
