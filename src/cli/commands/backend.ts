import { registerBackendCommands } from '../../backend/commands.js';
import { examples, type Register } from '../command.js';
import { CommandError } from '../errors.js';

/** Local commands for the hosts behind the load balancers: no agent is asked. */
export const registerBackend: Register = (program, io) => {
  registerBackendCommands(program, {
    stdout: io.stdout,
    failure: (message, hint, cause) => new CommandError(message, { hint, cause }),
  });
  const command = program.commands.find((one) => one.name() === 'backend');
  if (command === undefined) return;
  examples(command, ['spillway backend attach --interface eth0', 'spillway backend status']);
};
