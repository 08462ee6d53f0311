import { codec, type Input, type MessageName } from './codec.js';
import type { Messages } from './generated/messages.generated.js';

/** Trailer in which gRPC carries google.rpc.Status. */
export const detailsKey = 'grpc-status-details-bin';

export type Detail = {
  readonly [Name in 'google.rpc.BadRequest' | 'google.rpc.PreconditionFailure' | 'google.rpc.ErrorInfo']: {
    readonly type: Name;
    readonly value: Input<Messages[Name]>;
  };
}['google.rpc.BadRequest' | 'google.rpc.PreconditionFailure' | 'google.rpc.ErrorInfo'];

export function encodeDetails(status: { code: number; message: string }, details: readonly Detail[]): Buffer {
  return codec('google.rpc.Status').encode({
    ...status,
    details: details.map((detail) => ({
      type_url: `type.googleapis.com/${detail.type}`,
      value: codec(detail.type as MessageName).encode(detail.value as never),
    })),
  });
}

/** The details of one type; none when the bytes are not a google.rpc.Status. */
export function decodeDetails<Name extends Detail['type']>(bytes: Uint8Array, type: Name): Messages[Name][] {
  try {
    return codec('google.rpc.Status')
      .decode(bytes)
      .details.filter((any) => any.type_url.endsWith(`/${type}`))
      .map((any) => codec(type).decode(any.value));
  } catch {
    return [];
  }
}
