import { setTimeout as delay } from 'node:timers/promises';
import type { messages } from '../api/client.js';
import type { Context } from './context.js';
import { formatDuration } from './format/time.js';
import { Progress } from './progress.js';

/** A status and when it came, in milliseconds of the monotonic clock. */
export interface Sample {
  readonly atMs: number;
  readonly status: messages.Status;
}

export interface TrafficRate {
  readonly packets: number;
  readonly bytes: number;
  readonly newSessions: number;
}

export interface Rates {
  readonly seconds: number;
  readonly ofListener: (listener: messages.ListenerStatus) => TrafficRate;
  readonly ofBackend: (listener: messages.ListenerStatus, backend: messages.BackendStatus) => TrafficRate;
  readonly ofReason: (reason: messages.ReasonCount) => number;
}

const none: TrafficRate = { packets: 0, bytes: 0, newSessions: 0 };

export async function sample(context: Context, options: { summary: boolean }): Promise<Sample> {
  const status = await context.call('status', (agent, call) => agent.status.get(options, call));
  return { atMs: performance.now(), status };
}

/** Two samples, so far apart. */
export async function samplePair(
  context: Context,
  options: { summary: boolean; intervalMs: number },
): Promise<readonly [Sample, Sample]> {
  const before = await sample(context, options);
  const progress = new Progress(context.io.stderr, `measuring over ${formatDuration(options.intervalMs)}`);
  await delay(options.intervalMs);
  progress.stop();
  return [before, await sample(context, options)];
}

/**
 * Each second between two samples. What is new in the later one, or counts from the start again, has the rate 0: its
 * total says nothing about that time.
 */
export function ratesBetween(before: Sample, after: Sample): Rates {
  const seconds = Math.max(0.001, (after.atMs - before.atMs) / 1000);
  const listeners = new Map<string, messages.Traffic | null>();
  const backends = new Map<string, messages.Traffic | null>();
  for (const listener of before.status.listeners) {
    listeners.set(listenerKey(listener), listener.traffic);
    for (const backend of listener.backends) backends.set(backendKey(listener, backend), backend.traffic);
  }
  const reasons = new Map(before.status.reasons.map((row) => [row.reason, row.packets]));
  return {
    seconds,
    ofListener: (listener) => trafficRate(listeners.get(listenerKey(listener)), listener.traffic, seconds),
    ofBackend: (listener, backend) =>
      trafficRate(backends.get(backendKey(listener, backend)), backend.traffic, seconds),
    ofReason: (reason) => rate(reasons.get(reason.reason), reason.packets, seconds),
  };
}

function trafficRate(
  before: messages.Traffic | null | undefined,
  after: messages.Traffic | null,
  seconds: number,
): TrafficRate {
  if (before === null || before === undefined || after === null) return none;
  return {
    packets: rate(before.packets, after.packets, seconds),
    bytes: rate(before.bytes, after.bytes, seconds),
    newSessions: rate(before.newSessions, after.newSessions, seconds),
  };
}

function rate(before: bigint | undefined, after: bigint, seconds: number): number {
  return before === undefined || after < before ? 0 : Number(after - before) / seconds;
}

function listenerKey(listener: messages.ListenerStatus): string {
  return `${listener.loadBalancer}/${listener.listener}`;
}

function backendKey(listener: messages.ListenerStatus, backend: messages.BackendStatus): string {
  return `${listenerKey(listener)} ${listener.backendGroup}/${backend.name}`;
}
