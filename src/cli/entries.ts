import type { FieldViolation } from '../base/errors.js';
import type { Context } from './context.js';
import { requireUsage } from './context.js';
import { CommandError } from './errors.js';
import { readInput } from './input.js';
import { countEntries } from './views/access_lists.js';

const maxFaults = 20;

interface Entry {
  readonly text: string;
  /** "drop.txt:17", "ENTRY 2" */
  readonly place: string;
}

/**
 * Entries of an access list from the command line and from a file: one a line, what follows "#" or ";" is comment (as
 * in published block lists). Looked at here already, for only here a line has its number.
 */
export async function entriesFrom(
  context: Context,
  { args, file }: { readonly args: readonly string[]; readonly file: string | undefined },
): Promise<readonly string[]> {
  requireUsage(args.length > 0 || file !== undefined, 'which entries? name them, or a file with -f');
  const named = args.map((text, index) => ({ text, place: `ENTRY ${index + 1}` }));
  const lines = file === undefined ? [] : linesOf(await readInput(context, file, 'entries, one a line'), file);
  const entries = [...named, ...lines];
  await check(entries);
  return entries.map(({ text }) => text);
}

function linesOf(text: string, file: string): Entry[] {
  const name = file === '-' ? 'stdin' : file;
  return text.split('\n').flatMap((line, index) => {
    const entry = line.replace(/[#;].*$/s, '').trim();
    return entry === '' ? [] : [{ text: entry, place: `${name}:${index + 1}` }];
  });
}

async function check(entries: readonly Entry[]): Promise<void> {
  const { readPrefix } = await import('../config/prefix.js');
  const faults: FieldViolation[] = [];
  let more = 0;
  for (const { text, place } of entries) {
    const read = readPrefix(text);
    if (!('problem' in read)) continue;
    if (faults.length < maxFaults) faults.push({ field: place, description: read.problem });
    else more++;
  }
  if (faults.length === 0) return;
  const total = faults.length + more;
  if (more > 0) faults.push({ field: '...', description: `and ${countEntries(more)} more` });
  throw new CommandError(`nothing was sent: ${countEntries(total)} at fault`, {
    code: 'INVALID_ARGUMENT',
    violations: faults,
  });
}
