import { type Cipher, createCipheriv } from 'node:crypto';

const zeros = Buffer.alloc(1024 * 1024);

/** Pseudo-random bytes that depend on the seed alone: either end of a transfer makes them for itself. */
export class SeededBytes {
  private readonly cipher: Cipher;

  constructor(seed: number) {
    const key = Buffer.alloc(16);
    key.writeUInt32BE(seed);
    this.cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  }

  /** @param length at most 1 MiB. */
  next(length: number): Buffer {
    return this.cipher.update(zeros.subarray(0, length));
  }
}

/** Compares what arrives with what should, byte by byte. */
export class Comparison {
  bytes = 0;
  differsAt: number | null = null;
  private readonly expected: SeededBytes;

  constructor(seed: number) {
    this.expected = new SeededBytes(seed);
  }

  take(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; at += zeros.length) this.compare(chunk.subarray(at, at + zeros.length));
  }

  private compare(chunk: Buffer): void {
    const expected = this.expected.next(chunk.length);
    if (this.differsAt === null && !chunk.equals(expected)) {
      this.differsAt = this.bytes + chunk.findIndex((byte, i) => byte !== expected[i]);
    }
    this.bytes += chunk.length;
  }
}

/** @param pace bytes per second; null: as fast as the reader takes them. */
export async function* stream(
  size: number,
  { seed, pace }: { seed: number; pace: number | null },
): AsyncGenerator<Buffer> {
  const source = new SeededBytes(seed);
  const startedAt = performance.now();
  for (let sent = 0; sent < size; ) {
    const chunk = source.next(Math.min(pace === null ? 256 * 1024 : 64 * 1024, size - sent));
    sent += chunk.length;
    yield chunk;
    const aheadMs = pace === null ? 0 : (sent / pace) * 1000 - (performance.now() - startedAt);
    if (aheadMs > 0) await new Promise((resolve) => setTimeout(resolve, aheadMs));
  }
}
