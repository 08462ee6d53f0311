import type { SpillwayError } from '../api/client.js';
import { CommandError } from './errors.js';
import { formatDuration } from './format/time.js';
import { counted } from './format/units.js';

/** What to tell an operator about a call that was not answered with OK. */
export function describeAgentError(error: SpillwayError, call: { target: string; timeoutMs: number }): CommandError {
  const { code, message } = error;
  const options = { code, violations: error.violations, cause: error };
  if (code === 'UNAVAILABLE' && error.details.info === null && isConnectionFailure(message)) {
    const { reason, remedy } = connectionFailure(message);
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

/** An agent that is there may answer UNAVAILABLE too; then the words are its own. */
function isConnectionFailure(message: string): boolean {
  return /^No connection established|^connect E|Name resolution failed|^Connection dropped|ECONNRE|TLS|certificate/i.test(
    message,
  );
}

function connectionFailure(message: string): { reason: string; remedy: string } {
  const errno = /\b(ENOENT|ECONNREFUSED|EACCES|EPERM|ECONNRESET|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|ENOTFOUND)\b/.exec(
    message,
  )?.[1];
  const elsewhere = 'Another one is named with --socket or SPILLWAY_SOCKET.';
  switch (errno) {
    case 'ENOENT':
      return { reason: 'no such socket', remedy: `Is spillwayd running? ${elsewhere}` };
    case 'ECONNREFUSED':
      return { reason: 'connection refused', remedy: `Nobody listens there: is spillwayd running? ${elsewhere}` };
    case 'EACCES':
    case 'EPERM':
      return { reason: 'permission denied', remedy: 'Run it as root, or as a user who may use the socket.' };
    case 'ECONNRESET':
      return {
        reason: 'the connection was reset',
        remedy: 'Does that port want TLS (--tls-ca, --tls-cert, --tls-key), or is it another program?',
      };
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
    case 'ENOTFOUND':
      return { reason: errno, remedy: `The host cannot be reached from here. ${elsewhere}` };
    default:
      return { reason: message, remedy: `Is it the agent's address, and are the TLS files right? ${elsewhere}` };
  }
}
