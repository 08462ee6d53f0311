import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import type { Context } from './context.js';
import { CommandError } from './errors.js';

/** The text of a file, or of standard input for "-". `what`: for who sits at a terminal and wonders. */
export async function readInput(context: Context, file: string, what: string): Promise<string> {
  if (file === '-') {
    if (context.io.stdin.isTTY) context.note(`reading ${what} from the terminal; end with Ctrl-D`);
    return text(context.io.stdin);
  }
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new CommandError(`cannot read ${file}: ${reason}`, {
      hint: 'Name a readable file, or - for standard input.',
    });
  }
}
