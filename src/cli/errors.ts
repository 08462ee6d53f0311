import type { FieldViolation } from '../base/errors.js';

/** Exit codes of `spillway`. */
export const exit = { good: 0, failed: 1, usage: 2 } as const;

/** The command line is wrong: exit 2, with a hint at --help. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Refused or failed: exit 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly hint: string;
  readonly violations: readonly FieldViolation[];
  /** As in gRPC; FAILED where the agent was not asked. */
  readonly code: string;

  constructor(
    message: string,
    options: { hint?: string; code?: string; violations?: readonly FieldViolation[]; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.hint = options.hint ?? '';
    this.code = options.code ?? 'FAILED';
    this.violations = options.violations ?? [];
  }
}
