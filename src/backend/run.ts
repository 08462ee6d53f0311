import type { Command } from 'commander';
import { BackendError } from './errors.js';

export interface BackendWiring {
  readonly stdout: { write(text: string): unknown };
  /** The error to throw for exit 1, in the words of the command line. */
  readonly failure: (message: string, hint: string, cause?: unknown) => Error;
}

export const processWiring: BackendWiring = {
  stdout: process.stdout,
  failure: (message, hint, cause) => new BackendError(message, hint, { cause }),
};

/** Prints the value with --json, else the text. */
export type Print = (value: unknown, text: string) => void;

/** The action of a command: its errors in words. */
export function run<Flags>(
  wiring: BackendWiring,
  action: (flags: Flags, print: Print, command: Command) => Promise<void>,
): (flags: Flags, command: Command) => Promise<void> {
  return async (flags, command) => {
    const { json = false } = command.optsWithGlobals<{ json?: boolean }>();
    const print: Print = (value, text) => wiring.stdout.write(json ? `${JSON.stringify(value, stringify, 2)}\n` : text);
    try {
      await action(flags, print, command);
    } catch (error) {
      throw failureOf(error, wiring);
    }
  };
}

/** Errors of the kernel and of this room, in words; anything else as it is. */
function failureOf(error: unknown, wiring: BackendWiring): unknown {
  if (error instanceof BackendError) return wiring.failure(error.message, error.hint, error);
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return error;
  const log = 'log' in error && typeof error.log === 'string' ? `\n${error.log.trim()}` : '';
  const hint = error.code === 'EPERM' || error.code === 'EACCES' ? 'Run it as root.' : '';
  return wiring.failure(`${error.syscall}: ${error.message}${log}`, hint, error);
}

/** Counters pass 2^53: as text, like int64 in the mapping of protobuf. */
function stringify(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
