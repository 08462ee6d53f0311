import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { OUT } from '../paths.js';
import type { NetNs } from './netns.js';

export interface Sending {
  readonly device: string;
  /** The driver's word for the packet kind. */
  readonly kind: string;
  readonly flows: number;
  /** Of each thread. */
  readonly packets: number;
  /** A thread on each. */
  readonly cpus: readonly number[];
  /** Round the flows in order, each thread from a place of its own, instead of drawing them. */
  readonly inSequence?: boolean;
}

export interface Sent {
  readonly packets: number;
  /** Until the last thread had sent its own. */
  readonly seconds: number;
  /** Of all threads; what the frames cost on their way is in it, as far as it was done in place. */
  readonly cpuSeconds: number;
}

interface Printed {
  readonly threads: readonly { readonly sent: number; readonly seconds: number; readonly cpuSeconds: number }[];
}

const run = promisify(execFile);

/** Sends live frames (live/main.c) out of a device of the namespace. */
export async function sendLive(ns: NetNs, sending: Sending): Promise<Sent> {
  const { device, kind, flows, packets, cpus, inSequence } = sending;
  const [file, args] = ns.command(`${OUT}/live/live`, '-d', device, '-k', kind, '-f', `${flows}`);
  const rest = ['-n', `${packets}`, '-c', cpus.join(','), ...(inSequence ? ['-q'] : [])];
  const { stdout } = await run(file, [...args, ...rest]);
  const { threads } = JSON.parse(stdout) as Printed;
  return {
    packets: sum(threads.map(({ sent }) => sent)),
    seconds: Math.max(...threads.map(({ seconds }) => seconds)),
    cpuSeconds: sum(threads.map(({ cpuSeconds }) => cpuSeconds)),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
