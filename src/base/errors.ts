/** One class for each decision that a caller can take; api/status.ts alone maps them to gRPC codes. */

export interface FieldViolation {
  /** Path in the document: `loadBalancers[2].listeners[0].port`. */
  readonly field: string;
  /** What is wrong with which value, and what to do. */
  readonly description: string;
}

/** The request is wrong: mend it. Lists every field at fault. */
export class InvalidError extends Error {
  override readonly name = 'InvalidError';
  constructor(readonly violations: readonly FieldViolation[]) {
    super(violations.map((violation) => `${violation.field}: ${violation.description}`).join('\n'));
  }
}

/** The state in force is not the one that the request was made for: read again, then retry. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError';
  constructor(
    readonly expectedVersion: number,
    readonly actualVersion: number,
  ) {
    super(`the version in force is ${actualVersion}, not ${expectedVersion}: read it again, then apply`);
  }
}

export class NotFoundError extends Error {
  override readonly name = 'NotFoundError';
  constructor(
    readonly kind: string,
    readonly resource: string,
  ) {
    super(`no ${kind} "${resource}"`);
  }
}

export class AlreadyExistsError extends Error {
  override readonly name = 'AlreadyExistsError';
  constructor(
    readonly kind: string,
    readonly resource: string,
  ) {
    super(`${kind} "${resource}" exists already: update it instead`);
  }
}

/** The state must change first (delete the listener before its group). */
export class PreconditionError extends Error {
  override readonly name = 'PreconditionError';
}

/** A limit of this node: raise `setting` in the agent's configuration, or ask for less. */
export class CapacityError extends Error {
  override readonly name = 'CapacityError';
  constructor(
    readonly setting: string,
    readonly limit: number,
    readonly wanted: number,
  ) {
    super(`${wanted} wanted, ${setting} allows ${limit}: raise ${setting} in the agent's configuration`);
  }
}

/** This node cannot do it now (kernel refused, disk full, no interface): the cause says why; retry when it is mended. */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError';
}

/** What was asked for is under way, and was not reached in the time that it was given: ask again to go on waiting. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}
