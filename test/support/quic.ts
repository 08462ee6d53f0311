/** QUIC datagrams as far as a load balancer looks, and connection ids after draft-ietf-quic-load-balancers-21. */
import { createCipheriv } from 'node:crypto';
import type { QuicConfig } from '../../src/config/desired.js';

export interface IdParts {
  readonly config: QuicConfig;
  readonly serverId: Uint8Array;
  readonly nonce: Uint8Array;
  /** The lower five bits of the first octet; unset: the length, as the draft's vectors have it. */
  readonly low?: number;
}

/** As a server makes it (section 5.4). */
export function connectionId({ config, serverId, nonce, low }: IdParts): Buffer {
  const plain = Buffer.concat([serverId, nonce]);
  const first = (config.id << 5) | (low ?? plain.length);
  if (!config.key) return Buffer.concat([Uint8Array.of(first), plain]);
  const cipher = createCipheriv('aes-128-ecb', config.key, null).setAutoPadding(false);
  return Buffer.concat([Uint8Array.of(first), cipher.update(plain), cipher.final()]);
}

/** RFC 9000, 17.3: of an established connection. */
export function shortHeader(id: Uint8Array, rest: Uint8Array = Buffer.alloc(20)): Buffer {
  return Buffer.concat([Uint8Array.of(0x40), id, rest]);
}

/** RFC 9000, 17.2: `type` 0 Initial, 1 0-RTT, 2 Handshake, 3 Retry. */
export function longHeader(
  id: Uint8Array,
  { type = 0, version = 1, rest = Buffer.alloc(40) }: { type?: number; version?: number; rest?: Uint8Array } = {},
): Buffer {
  const head = Buffer.alloc(6);
  head[0] = 0xc0 | (type << 4);
  head.writeUInt32BE(version, 1);
  head[5] = id.length;
  return Buffer.concat([head, id, Uint8Array.of(0), rest]);
}
