import grpc from '@grpc/grpc-js';
import type { FieldViolation } from '../base/errors.js';
import { decodeDetails, detailsKey } from './error_details.js';

/** "INVALID_ARGUMENT", "UNAVAILABLE"... */
export type Code = keyof typeof grpc.status;

export interface PreconditionViolation {
  readonly type: string;
  readonly subject: string;
  readonly description: string;
}

/** What a call was answered with when not OK. */
export class SpillwayError extends Error {
  override readonly name = 'SpillwayError';
  constructor(
    readonly code: Code,
    message: string,
    readonly details: {
      /** Of INVALID_ARGUMENT: every field at fault. */
      readonly violations: readonly FieldViolation[];
      readonly preconditions: readonly PreconditionViolation[];
      /** "VERSION_CONFLICT" with expectedVersion and actualVersion, "CAPACITY" with setting, limit, wanted... */
      readonly info: { readonly reason: string; readonly metadata: Readonly<Record<string, string>> } | null;
    },
  ) {
    super(message);
  }

  get violations(): readonly FieldViolation[] {
    return this.details.violations;
  }

  static of(error: grpc.ServiceError): SpillwayError {
    const code = (grpc.status[error.code] ?? 'UNKNOWN') as Code;
    const bytes = error.metadata?.get(detailsKey)[0];
    const details = bytes instanceof Buffer ? bytes : new Uint8Array();
    const info = decodeDetails(details, 'google.rpc.ErrorInfo')[0];
    return new SpillwayError(code, error.details || error.message, {
      violations: decodeDetails(details, 'google.rpc.BadRequest').flatMap((one) =>
        one.fieldViolations.map(({ field, description }) => ({ field, description })),
      ),
      preconditions: decodeDetails(details, 'google.rpc.PreconditionFailure').flatMap((one) => one.violations),
      info: info === undefined ? null : { reason: info.reason, metadata: info.metadata },
    });
  }
}
