import { createHash } from 'node:crypto';

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
