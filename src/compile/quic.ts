import { createDecipheriv } from 'node:crypto';
import type { QuicConfig } from '../config/desired.js';
import { identityOf } from './identity.js';

/** The configurations of a listener with the scheduler QCH, as listeners with the same ones share them. */
export interface QuicRoutingRow {
  /** Digest of `configs`. */
  readonly recipe: bigint;
  /** Known of what should be; what is in the kernel is known by its recipe alone. */
  readonly configs: readonly QuicConfig[];
}

/** Key of Tables.quicServers: {@link quicServerKeyText}. */
export interface QuicServerRow {
  readonly pool: number;
  readonly serverId: Uint8Array;
  readonly backend: number;
}

export function quicServerKeyText({ pool, serverId }: Pick<QuicServerRow, 'pool' | 'serverId'>): string {
  return `${pool}/${Buffer.from(serverId).toString('hex')}`;
}

export function quicRoutingOf(configs: readonly QuicConfig[]): QuicRoutingRow {
  const parts = configs.map(({ id, serverIdLength, nonceLength, key }) =>
    [id, serverIdLength, nonceLength, key ? Buffer.from(key).toString('hex') : ''].join(':'),
  );
  return { recipe: identityOf('quic', ...parts.sort()), configs };
}

/**
 * The server id in a connection id, or why there is none: bpf/quic.h in words. `connectionId` begins with the id and
 * may go on with what follows it.
 */
export function serverIdOf(
  connectionId: Uint8Array,
  configs: readonly QuicConfig[],
): { readonly serverId: Uint8Array; readonly config: QuicConfig } | { readonly problem: string } {
  if (connectionId.length === 0) return { problem: 'the connection id is empty' };
  const codepoint = connectionId[0]! >> 5;
  const config = configs.find(({ id }) => id === codepoint);
  if (!config) return { problem: `the connection id asks for config ${codepoint}, which the listener has not` };
  const { serverIdLength, nonceLength, key } = config;
  const block = connectionId.subarray(1, 1 + serverIdLength + nonceLength);
  if (block.length < serverIdLength + nonceLength) {
    return {
      problem: `the connection id is shorter than the ${1 + serverIdLength + nonceLength} bytes of config ${codepoint}`,
    };
  }
  return { serverId: (key ? decipher(block, key) : block).slice(0, serverIdLength), config };
}

function decipher(block: Uint8Array, key: Uint8Array): Uint8Array {
  const cipher = createDecipheriv('aes-128-ecb', key, null).setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}
