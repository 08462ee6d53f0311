import grpc from '@grpc/grpc-js';
import {
  AlreadyExistsError,
  CapacityError,
  ConflictError,
  DeadlineError,
  type FieldViolation,
  InvalidError,
  NotFoundError,
  PreconditionError,
  UnavailableError,
} from '../base/errors.js';
import { type Detail, detailsKey, encodeDetails } from './error_details.js';

export interface Refusal {
  readonly code: grpc.status;
  readonly message: string;
  readonly details: readonly Detail[];
}

const domain = 'spillway';

/** The one place where error classes become gRPC codes. Null: nobody foresaw it, so it is a fault of the agent. */
export function refusalOf(error: unknown): Refusal | null {
  if (error instanceof InvalidError) return invalid(error.violations);
  if (error instanceof ConflictError) {
    const { expectedVersion, actualVersion } = error;
    return refusal(grpc.status.ABORTED, error, info('VERSION_CONFLICT', { expectedVersion, actualVersion }));
  }
  if (error instanceof NotFoundError) {
    return refusal(grpc.status.NOT_FOUND, error, info('NOT_FOUND', { kind: error.kind, resource: error.resource }));
  }
  if (error instanceof AlreadyExistsError) {
    const { kind, resource } = error;
    return refusal(grpc.status.ALREADY_EXISTS, error, info('ALREADY_EXISTS', { kind, resource }));
  }
  if (error instanceof PreconditionError) {
    return refusal(grpc.status.FAILED_PRECONDITION, error, {
      type: 'google.rpc.PreconditionFailure',
      value: { violations: [{ type: 'STATE', subject: '', description: cut(error.message, maxMessageBytes) }] },
    });
  }
  if (error instanceof CapacityError) {
    const { setting, limit, wanted } = error;
    return refusal(grpc.status.RESOURCE_EXHAUSTED, error, info('CAPACITY', { setting, limit, wanted }));
  }
  if (error instanceof UnavailableError) return refusal(grpc.status.UNAVAILABLE, error, info('UNAVAILABLE', {}));
  if (error instanceof DeadlineError) return refusal(grpc.status.DEADLINE_EXCEEDED, error, info('STILL_GOING', {}));
  return null;
}

/** As grpc-js takes it, details in the trailer. */
export function toServiceError({ code, message, details }: Refusal): Partial<grpc.StatusObject> {
  const metadata = new grpc.Metadata();
  if (details.length > 0) metadata.set(detailsKey, encodeDetails({ code, message }, details));
  return { code, details: message, metadata };
}

/**
 * gRPC libraries refuse trailers above 8 KiB (C core, so Python, Ruby, C++; base64 makes 4 bytes of 3): then the
 * caller would read of too much metadata instead of what is wrong.
 */
const maxDetailBytes = 4500;
const maxMessageBytes = 500;

function invalid(violations: readonly FieldViolation[]): Refusal {
  const shown = fitting(violations);
  const first = violations[0];
  const more = violations.length > 1 ? ` (and ${violations.length - 1} more, see the details)` : '';
  return {
    code: grpc.status.INVALID_ARGUMENT,
    message: first === undefined ? 'invalid' : cut(`${first.field}: ${first.description}`, maxMessageBytes) + more,
    details: [{ type: 'google.rpc.BadRequest', value: { fieldViolations: shown } }],
  };
}

function fitting(violations: readonly FieldViolation[]): FieldViolation[] {
  const shown: FieldViolation[] = [];
  let bytes = 0;
  for (const { field, description } of violations) {
    const one = { field: cut(field, 200), description: cut(description, maxMessageBytes) };
    bytes += Buffer.byteLength(one.field) + Buffer.byteLength(one.description) + 8;
    if (bytes > maxDetailBytes) {
      const left = violations.length - shown.length;
      shown.push({ field: '', description: `and ${left} more, which do not fit here: mend these first` });
      break;
    }
    shown.push(one);
  }
  return shown;
}

function refusal(code: grpc.status, error: Error, detail: Detail): Refusal {
  return { code, message: cut(error.message, maxMessageBytes), details: [detail] };
}

function info(reason: string, values: Readonly<Record<string, string | number>>): Detail {
  const metadata = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, cut(String(value), 200)]));
  return { type: 'google.rpc.ErrorInfo', value: { reason, domain, metadata } };
}

function cut(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  return `${Buffer.from(text)
    .subarray(0, bytes)
    .toString('utf8')
    .replace(/\uFFFD+$/, '')}...`;
}
