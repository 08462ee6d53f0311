import { createHash } from 'node:crypto';

/** 64 bits of SHA-256, never 0: by it the agent finds its ids in the kernel again after a restart. */
export function identityOf(...parts: readonly string[]): bigint {
  const digest = createHash('sha256').update(parts.join('\0')).digest();
  const value = digest.readBigUInt64LE(0);
  return value === 0n ? 1n : value;
}
