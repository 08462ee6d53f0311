/** `spillway backend ...` alone, with the exit codes of the command line. */
import { Command, CommanderError } from 'commander';
import { registerBackendCommands } from '../../src/backend/commands.js';

const program = new Command('spillway').exitOverride();
registerBackendCommands(program);
try {
  await program.parseAsync(process.argv.slice(2), { from: 'user' });
} catch (error) {
  if (!(error instanceof CommanderError)) process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = error instanceof CommanderError ? 2 : 1;
}
