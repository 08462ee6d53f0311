import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import path from 'node:path';

/** Of the last boot, in decimal. */
const FILE = 'sync-boot';

/**
 * A number that is greater at each start: microseconds since 1970, or one more than last time where the clock was set
 * back. On disk before it is used.
 * @throws Error of the file system.
 */
export function nextBoot(stateDirectory: string, wallMs: number): bigint {
  const file = path.join(stateDirectory, FILE);
  const now = BigInt(Math.floor(wallMs * 1000));
  const last = lastBoot(file);
  const boot = last >= now ? last + 1n : now;
  mkdirSync(stateDirectory, { recursive: true, mode: 0o750 });
  replace(file, `${boot}\n`);
  return boot;
}

/** 0n where there is no file, or a damaged one: then the clock has to do. */
function lastBoot(file: string): bigint {
  try {
    const text = readFileSync(file, 'latin1').trim();
    return /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0n;
    throw error;
  }
}

function replace(file: string, text: string): void {
  const temporary = `${file}.tmp`;
  const descriptor = openSync(temporary, 'w', 0o640);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, file);
  const folder = openSync(path.dirname(file), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
