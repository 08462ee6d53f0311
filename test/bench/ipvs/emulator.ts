import { readdirSync, readFileSync } from 'node:fs';

/** The threads of the emulator, as scripts/vm shows them to the machine. */
const THREADS = '/run/emulator';

/**
 * Seconds of the host's CPU that the emulation of a CPU of this machine has taken: the machine's own clock goes on while
 * the host does something else, this one does not.
 */
export function emulatedSeconds(cpu: number): number {
  for (const thread of readdirSync(THREADS)) {
    if (read(thread, 'comm').startsWith(`CPU ${cpu}/`)) return Number(read(thread, 'schedstat').split(' ')[0]) / 1e9;
  }
  throw new Error(`${THREADS}: no thread of CPU ${cpu}: is this a machine of scripts/vm?`);
}

function read(thread: string, file: string): string {
  try {
    return readFileSync(`${THREADS}/${thread}/${file}`, 'utf8');
  } catch (error) {
    // Its worker threads come and go.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || (error as NodeJS.ErrnoException).code === 'ESRCH')
      return '';
    throw error;
  }
}
