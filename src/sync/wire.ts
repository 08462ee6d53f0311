import { createHash } from 'node:crypto';
import { codec } from '../api/codec.js';
import type { messages } from '../api/services.js';

/** Versions of the datagrams that this node reads; it sends the newest. */
export const oldestWire = 1;
export const newestWire = 1;

const control = codec('spillway.v1.ControlMessage');

export type ControlMessage = messages.ControlMessage;
export type Beacon = messages.Beacon;
export type VerdictPage = messages.VerdictPage;

export function encodeControl(message: Parameters<typeof control.encode>[0]): Uint8Array {
  return control.encode(message);
}

/** null: no message of this version. */
export function decodeControl(body: Uint8Array): ControlMessage | null {
  try {
    return control.decode(body);
  } catch {
    return null;
  }
}

/** 32 bits of SHA-256 over the parts, never 0: what nodes call things by. */
export function wireId(...parts: readonly string[]): number {
  return createHash('sha256').update(parts.join('\0')).digest().readUInt32LE(0) || 1;
}

/** What a node is called in datagrams and tokens. */
export function nodeId(name: string): number {
  return wireId('spillway node', name);
}
