/** Labs of benchmarks that were killed, and the lab of this one when it is interrupted. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../paths.js';

const script = join(ROOT, 'scripts', 'lab');
const names = /^fo(\d+)$/;

export function labName(): string {
  return `fo${process.pid}`;
}

export function removeStaleLabs(): void {
  const { stdout } = spawnSync(script, ['list', '--json'], { encoding: 'utf8' });
  for (const { name } of JSON.parse(stdout) as readonly { readonly name: string }[]) {
    const pid = names.exec(name)?.[1];
    if (pid !== undefined && !lives(Number(pid))) takeDown(name);
  }
}

/** Ends the process with what was started in its lab. */
export function takeDownOnSignal(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      takeDown(labName());
      process.exit(1);
    });
  }
}

function takeDown(name: string): void {
  spawnSync(script, ['down', '--name', name], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
