import { createHash } from 'node:crypto';
import type { Ip } from '../base/ip.js';
import type { Listener } from '../config/desired.js';
import { protocolNumber } from './tables.js';

/** 64 bits of SHA-256, never 0: by it the agent finds its ids in the kernel again after a restart. */
export function identityOf(...parts: readonly string[]): bigint {
  const digest = createHash('sha256').update(parts.join('\0')).digest();
  const value = digest.readBigUInt64LE(0);
  return value === 0n ? 1n : value;
}

const known = new Map<string, bigint>();
const MOST_KNOWN = 65_536;

/** As identityOf, remembered: for names that come again with every compile. */
export function rememberedIdentity(kind: string, name: string): bigint {
  const key = `${kind}\0${name}`;
  let identity = known.get(key);
  if (identity === undefined) {
    if (known.size >= MOST_KNOWN) known.clear();
    identity = identityOf(kind, name);
    known.set(key, identity);
  }
  return identity;
}

/**
 * With QCH a listener is another: its flows' sessions are of another kind, and those that it had by another scheduler
 * must not stand against a connection id.
 */
export function serviceIdentity(
  { protocol, port, scheduler }: Pick<Listener, 'protocol' | 'port' | 'scheduler'>,
  vip: Ip,
): bigint {
  const place = `${protocolNumber[protocol]}\0${vip}\0${port}`;
  return rememberedIdentity('service', scheduler === 'QCH' ? `${place}\0quic` : place);
}
