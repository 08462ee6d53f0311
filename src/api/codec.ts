import protojson from 'protobufjs/ext/protojson.js';
import protobuf from 'protobufjs/light.js';
import { InvalidError } from '../base/errors.js';
import { descriptor } from './generated/descriptor.generated.js';
import type { Messages } from './generated/messages.generated.js';
import { decodeNoting } from './unknown_fields.js';

export type MessageName = keyof Messages;

/** What may be sent: anything left out is unset. 64-bit integers also as number or decimal string. */
export type Input<T> = T extends Uint8Array
  ? T
  : T extends bigint
    ? bigint | number | string
    : T extends readonly (infer Element)[]
      ? readonly Input<Element>[]
      : T extends object
        ? { readonly [Key in keyof T]?: Input<T[Key]> | null | undefined }
        : T;

export interface Codec<T> {
  encode(message: Input<T>): Buffer;
  /** @throws Error when the bytes are no such message. */
  decode(bytes: Uint8Array): T;
  /**
   * For requests: what a later version added and this one would ignore is refused instead.
   * @throws InvalidError naming the message with the unknown field.
   */
  decodeStrict(bytes: Uint8Array): T;
  /** The protobuf JSON mapping: enums by name, 64-bit integers and durations as strings, unset fields left out. */
  toJson(message: Input<T>): unknown;
}

/** The descriptors of every message and service of this API. */
export const root = protobuf.Root.fromJSON(descriptor as protobuf.INamespace);
root.resolveAll();

const plain = { defaults: true, longs: BigInt, enums: String } as unknown as protobuf.IConversionOptions;
const codecs = new Map<MessageName, unknown>();

export function codec<Name extends MessageName>(name: Name): Codec<Messages[Name]> {
  const known = codecs.get(name);
  if (known !== undefined) return known as Codec<Messages[Name]>;
  const made = makeCodec<Messages[Name]>(root.lookupType(name));
  codecs.set(name, made);
  return made;
}

function makeCodec<T>(type: protobuf.Type): Codec<T> {
  return {
    encode(message) {
      const bytes = type.encode(type.fromObject(message as object)).finish();
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    decode: (bytes) => type.toObject(type.decode(bytes), plain) as T,
    decodeStrict(bytes) {
      const { message, unknown } = decodeNoting(type, bytes);
      if (unknown.length > 0) throw new InvalidError(unknown);
      return type.toObject(message as protobuf.Message, plain) as T;
    },
    toJson: (message) => protojson.toJson(type, type.fromObject(message as object)),
  };
}
