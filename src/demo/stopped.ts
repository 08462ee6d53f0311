import { readFileSync } from 'node:fs';

/** Why the demo ends before its time. */
export class Stopped extends Error {
  constructor(
    readonly by: string,
    readonly exitCode: number,
  ) {
    super(by);
  }
}

/** Rejects when the demo is told to stop, or when nobody reads it any more. */
export function stopped(lock: string | undefined): Promise<never> {
  return new Promise((_, reject) => {
    const npm = process.env['npm_lifecycle_event'] === 'demo';
    if (npm && lock !== undefined) onceOrphaned(lock, () => reject(new Stopped('the end of npm', 143)));
    process.on('SIGINT', () => reject(new Stopped('Ctrl-C', 130)));
    process.on('SIGTERM', () => reject(new Stopped('SIGTERM', 143)));
    process.on('SIGHUP', () => reject(new Stopped('hang-up', 129)));
    process.stdout.on('error', () => reject(new Stopped('closed output', 1)));
  });
}

/** npm does not hand SIGTERM on to what its shell runs. Who started this is in the lock: pid, parent, grandparent. */
function onceOrphaned(lock: string, tell: () => void): void {
  const starters = readFileSync(lock, 'utf8').trim().split(' ').slice(1).join(' ');
  const timer = setInterval(() => {
    if (starters === `${process.ppid} ${parentOf(process.ppid)}`) return;
    clearInterval(timer);
    tell();
  }, 300);
}

function parentOf(pid: number): string {
  try {
    return /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
  } catch {
    return '';
  }
}
