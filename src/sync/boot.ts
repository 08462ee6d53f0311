import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import path from 'node:path';

/** Of the last boot, in decimal. */
const FILE = 'sync-boot';

export interface Boot {
  readonly boot: bigint;
  /** In words, when the number could not be kept; or empty. */
  readonly problem: string;
}

/**
 * A number that is greater at each start: microseconds since 1970, or one more than last time where the clock was set
 * back. On disk before it is used; a disk that refuses is told, and no reason not to start: the clock has to do.
 */
export function nextBoot(stateDirectory: string, wallMs: number): Boot {
  const file = path.join(stateDirectory, FILE);
  const now = BigInt(Math.floor(wallMs * 1000));
  let boot = now;
  try {
    const last = lastBoot(file);
    if (last >= now) boot = last + 1n;
    mkdirSync(stateDirectory, { recursive: true, mode: 0o750 });
    replace(file, `${boot}\n`);
    return { boot, problem: '' };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const problem =
      `the number of this start is not kept (${reason}): if the clock is set back before the next one, peers take this ` +
      `node for its past. Make room in ${stateDirectory}, or make it writable, and restart the agent`;
    return { boot, problem };
  }
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
