import type { SpillwayError } from '../api/client.js';
import { connectionFailure, isConnectionFailure } from './connection_failure.js';
import { CommandError } from './errors.js';
import { formatDuration } from './format/time.js';
import { counted } from './format/units.js';

/** What to tell an operator about a call that was not answered with OK. */
export function describeAgentError(
  error: SpillwayError,
  call: { target: string; timeoutMs: number; tls: boolean },
): CommandError {
  const { code, message } = error;
  const options = { code, violations: error.violations, cause: error };
  // An agent that is there may answer UNAVAILABLE too, with its reason in the details; then the words are its own.
  if (code === 'UNAVAILABLE' && error.details.info === null && isConnectionFailure(message)) {
    const { reason, remedy } = connectionFailure(message, call);
    return new CommandError(`cannot reach the agent at ${call.target}: ${reason}`, { ...options, hint: remedy });
  }
  switch (code) {
    case 'INVALID_ARGUMENT':
      return new CommandError(
        error.violations.length === 0
          ? message
          : `refused, nothing was changed: ${counted(error.violations.length, 'field')} at fault`,
        options,
      );
    case 'DEADLINE_EXCEEDED':
      // The agent's own words, where it was asked to wait for something.
      if (error.details.info !== null) return new CommandError(message, options);
      return new CommandError(`no answer from ${call.target} within ${formatDuration(call.timeoutMs)}`, {
        ...options,
        hint: 'Give it longer with --timeout, or look at the log of spillwayd.',
      });
    case 'UNIMPLEMENTED':
      return new CommandError(`the agent at ${call.target} does not know this call`, {
        ...options,
        hint: 'Compare client and agent with "spillway version".',
      });
    default:
      return new CommandError(message, options);
  }
}
