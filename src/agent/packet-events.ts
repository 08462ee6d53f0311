import type { DropSample } from '../api/port.js';
import type { Logger } from '../base/log.js';
import { parseDropSamples } from '../events/drop-samples.js';
import { parseEarlyFragments } from '../events/early-fragments.js';
import { FragmentHolder } from '../events/fragment-holder.js';
import { systemClock } from '../health/clock.js';
import type { Metrics } from '../metrics/metrics.js';
import type { DataPlaneNode } from './dataplane-node.js';
import { reasonWord } from './reasons.js';

export interface PacketEvents {
  /** The last packet that was dropped for this reason; null: none yet. */
  dropSample(reason: number): DropSample | null;
  close(): void;
}

/** What the data path hands to user space: samples of drops, and fragments that came before their first one. */
export function watchPackets(
  node: DataPlaneNode,
  parts: { readonly metrics: Metrics; readonly log: Logger; readonly onProblem: (text: string) => void },
): PacketEvents {
  const { metrics, log, onProblem } = parts;
  const samples = new Map<number, DropSample>();
  const holder = new FragmentHolder({
    isKnown: (tag) => node.firstFragments.has(tag),
    send: ({ frame, ifindex, queue }) => node.program.inject(frame, { ifindex, queue }),
    onEnd: (end) => metrics.onEarlyFragment(end),
    onRefused: (error) => {
      node.dropEarlyFragments();
      const text = `fragments that come before their first one are dropped: the kernel does not take them back (5.18 does): ${(error as Error).message}`;
      onProblem(text);
      log.warn({ err: error }, text);
    },
    clock: systemClock,
  });
  node.onEvents((records) => {
    holder.take(parseEarlyFragments(records));
    for (const sample of parseDropSamples(records, Date.now())) {
      samples.set(sample.reason, sample);
      log.debug({ ...sample, reason: reasonWord(sample.reason) }, 'packet dropped');
    }
  });
  return { dropSample: (reason) => samples.get(reason) ?? null, close: () => holder.close() };
}
