import { type Command, CommanderError } from 'commander';
import { CommandError, exit, UsageError } from './errors.js';
import { formatJson } from './format/json.js';
import { formatTable, printable } from './format/table.js';
import type { Io } from './io.js';
import { buildProgram } from './program.js';

interface Invocation {
  readonly program: Command;
  readonly argv: readonly string[];
  readonly io: Io;
}

/** Runs one command line; the exit code. Never throws. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const program = buildProgram(io);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exit.good;
  } catch (error) {
    if (error instanceof CommanderError) return commanderExit(error, { program, argv, io });
    report(error, { program, argv, io });
    return error instanceof UsageError ? exit.usage : exit.failed;
  }
}

/** commander has printed its own words by now. */
function commanderExit(error: CommanderError, { program, argv, io }: Invocation): number {
  if (error.exitCode === 0) return exit.good;
  // Without a command it printed the whole help, which needs no pointer to itself.
  if (error.code !== 'commander.help') io.stderr.write(usageHint(program, argv));
  return exit.usage;
}

function report(error: unknown, { program, argv, io }: Invocation): void {
  const message = error instanceof Error ? error.message : String(error);
  const known = error instanceof CommandError ? error : null;
  const code = error instanceof UsageError ? 'USAGE' : (known?.code ?? 'INTERNAL');
  if (argv.includes('--json')) {
    const { violations = [], hint = '' } = known ?? {};
    io.stderr.write(formatJson({ error: { code, message, violations, hint } }));
    return;
  }
  const { bad, bold, dim } = io.paintError;
  io.stderr.write(`${bad('spillway:')} ${message.split('\n').map(printable).join('\n')}\n`);
  if (known !== null && known.violations.length > 0) {
    const rows = known.violations.map(({ field, description }) => [`  ${field}`, description]);
    io.stderr.write(formatTable([{ title: '  FIELD' }, { title: 'PROBLEM' }], rows, bold));
  }
  if (known !== null && known.hint !== '') io.stderr.write(`${dim(known.hint)}\n`);
  if (error instanceof UsageError) io.stderr.write(usageHint(program, argv));
  // A fault of this program: where it was belongs into the report.
  else if (known === null && error instanceof Error) io.stderr.write(`${dim(error.stack ?? '')}\n`);
}

function usageHint(program: Command, argv: readonly string[]): string {
  let command = program;
  let name = 'spillway';
  for (const word of argv) {
    const inner = command.commands.find((one) => one.name() === word);
    if (inner === undefined) continue;
    command = inner;
    name += ` ${word}`;
  }
  return `Try "${name} --help".\n`;
}
