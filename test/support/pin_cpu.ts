import { execFileSync } from 'node:child_process';

/** Keeps this process's main thread on one CPU: what the data path remembers per CPU is then one memory. */
export function pinToCpu(cpu: number): void {
  execFileSync('taskset', ['-cp', String(cpu), String(process.pid)], { stdio: 'ignore' });
}
