import { endianness } from 'node:os';

/** Netlink speaks the byte order of the host. */
const LITTLE = endianness() === 'LE';

export const HEADER_BYTES = 16;

export interface Header {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Port of the socket that asked; 0 = the kernel's own doing. */
  readonly port: number;
}

/** Attributes of one level, by type; of a repeated type the last one, as the kernel's own parser has it. */
export type Attributes = ReadonlyMap<number, Uint8Array>;

export function align4(bytes: number): number {
  return (bytes + 3) & ~3;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function readU16(bytes: Uint8Array, offset: number): number {
  return viewOf(bytes).getUint16(offset, LITTLE);
}

export function readU32(bytes: Uint8Array, offset: number): number {
  return viewOf(bytes).getUint32(offset, LITTLE);
}

export function readI32(bytes: Uint8Array, offset: number): number {
  return viewOf(bytes).getInt32(offset, LITTLE);
}

/** A u32 attribute, or null when it is absent or of another size. */
export function u32Attribute(attributes: Attributes, type: number): number | null {
  const payload = attributes.get(type);
  return payload?.length === 4 ? readU32(payload, 0) : null;
}

/** A u16 attribute, or null when it is absent or of another size. */
export function u16Attribute(attributes: Attributes, type: number): number | null {
  const payload = attributes.get(type);
  return payload?.length === 2 ? readU16(payload, 0) : null;
}

/** A u8 attribute, or null when it is absent or of another size. */
export function u8Attribute(attributes: Attributes, type: number): number | null {
  const payload = attributes.get(type);
  return payload?.length === 1 ? payload[0]! : null;
}

/** A __be16 attribute, or null when it is absent or of another size. */
export function be16Attribute(attributes: Attributes, type: number): number | null {
  const payload = attributes.get(type);
  return payload?.length === 2 ? viewOf(payload).getUint16(0) : null;
}

/** The attributes within an attribute; null when it is absent, or a length in it lies. */
export function nestedAttributes(attributes: Attributes, type: number): Attributes | null {
  const payload = attributes.get(type);
  return payload ? readAttributes(payload, 0) : null;
}

/** Text up to the first NUL. */
export function textOf(payload: Uint8Array): string {
  const end = payload.indexOf(0);
  return new TextDecoder().decode(end < 0 ? payload : payload.subarray(0, end));
}

/**
 * Attributes from `offset` to the end of `bytes`; null when a length lies. Nested and byte-order flags are masked out
 * of the type (NLA_TYPE_MASK).
 */
export function readAttributes(bytes: Uint8Array, offset: number): Attributes | null {
  const attributes = new Map<number, Uint8Array>();
  let at = offset;
  // Fewer than four bytes left over are padding, as nla_ok() has it.
  while (bytes.length - at >= 4) {
    const length = readU16(bytes, at);
    if (length < 4 || length > bytes.length - at) return null;
    attributes.set(readU16(bytes, at + 2) & 0x3fff, bytes.subarray(at + 4, at + length));
    at += align4(length);
  }
  return attributes;
}

export interface Attribute {
  readonly type: number;
  readonly payload: Uint8Array;
}

export function u16Payload(value: number): Uint8Array {
  const payload = new Uint8Array(2);
  viewOf(payload).setUint16(0, value, LITTLE);
  return payload;
}

export function u32Payload(value: number): Uint8Array {
  const payload = new Uint8Array(4);
  viewOf(payload).setUint32(0, value, LITTLE);
  return payload;
}

/** One message: header, fixed part, attributes; padded to four bytes as the next message in a batch wants it. */
export function writeMessage(
  header: Omit<Header, 'length' | 'port'>,
  fixed: Uint8Array,
  attributes: readonly Attribute[],
): Uint8Array {
  const fixedEnd = HEADER_BYTES + align4(fixed.length);
  const length = attributes.reduce((sum, { payload }) => sum + align4(4 + payload.length), fixedEnd);
  const bytes = new Uint8Array(length);
  const view = viewOf(bytes);
  view.setUint32(0, length, LITTLE);
  view.setUint16(4, header.type, LITTLE);
  view.setUint16(6, header.flags, LITTLE);
  view.setUint32(8, header.sequence, LITTLE);
  bytes.set(fixed, HEADER_BYTES);
  let at = fixedEnd;
  for (const { type, payload } of attributes) {
    view.setUint16(at, 4 + payload.length, LITTLE);
    view.setUint16(at + 2, type, LITTLE);
    bytes.set(payload, at + 4);
    at += align4(4 + payload.length);
  }
  return bytes;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The messages of one datagram; `fault` says where it stopped making sense, what came before it is good. */
export function splitDatagram(datagram: Uint8Array): {
  readonly messages: readonly { readonly header: Header; readonly body: Uint8Array }[];
  readonly fault: string | null;
} {
  const messages: { header: Header; body: Uint8Array }[] = [];
  let at = 0;
  while (at < datagram.length) {
    const left = datagram.length - at;
    if (left < HEADER_BYTES)
      return { messages, fault: `${left} bytes left over at ${at}, a header takes ${HEADER_BYTES}` };
    const length = readU32(datagram, at);
    if (length < HEADER_BYTES || length > left) {
      return { messages, fault: `message at ${at} claims ${length} bytes, ${left} are there` };
    }
    const header = {
      length,
      type: readU16(datagram, at + 4),
      flags: readU16(datagram, at + 6),
      sequence: readU32(datagram, at + 8),
      port: readU32(datagram, at + 12),
    };
    messages.push({ header, body: datagram.subarray(at + HEADER_BYTES, at + length) });
    at += align4(length);
  }
  return { messages, fault: null };
}
