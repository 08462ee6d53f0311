/** A command of the backend was refused or failed: exit 1. */
export class BackendError extends Error {
  override readonly name = 'BackendError';
  constructor(
    message: string,
    /** What to do about it; empty when the message says it. */
    readonly hint = '',
    options: { readonly cause?: unknown } = {},
  ) {
    super(message, options);
  }
}
