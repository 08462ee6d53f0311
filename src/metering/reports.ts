import { CapacityError } from '../base/errors.js';
import type { Ip } from '../base/ip.js';
import { add } from './count.js';
import type { MeteringState, Reporter, VipOwner } from './state.js';
import type { Report } from './types.js';

/** A reporter that restarts draws a new epoch; a report of one before may still be on its way. */
const EPOCHS = 4;
/** Nobody tries the same report for so long. */
export const REPORTER_MS = 7 * 24 * 3_600_000;

export interface Taken {
  readonly state: MeteringState;
  /** False: it was counted before. */
  readonly fresh: boolean;
  /** VIPs that no LoadBalancer has: what was said of them is counted nowhere. */
  readonly unknownVips: readonly Ip[];
}

/**
 * Counts a report once, however often it comes: by reporter, epoch and sequence. A report that is behind the last one
 * of its epoch was counted; one further on than the next is new, too (this agent has forgotten, or another was asked).
 * VIPs of others are left out and named, for a backend may serve several clusters.
 * @throws CapacityError when so many reporters are known that another would push one out, and with it its sequence.
 */
export function take(state: MeteringState, report: Report, { atMs, most }: { atMs: number; most: number }): Taken {
  const known = state.reporters.get(report.reporter);
  const last = known?.epochs.find(({ epoch }) => epoch === report.epoch)?.sequence ?? 0n;
  const unknownVips = [...new Set(report.usage.map(({ vip }) => vip))].filter((vip) => !state.vips.has(vip));
  if (report.sequence <= last) return { state, fresh: false, unknownVips };

  const reporters = new Map(state.reporters);
  if (known === undefined && reporters.size >= most) forget(reporters, atMs);
  if (known === undefined && reporters.size >= most)
    throw new CapacityError('metering.reporters', most, reporters.size + 1);
  reporters.set(report.reporter, heard(known, { report, atMs }));
  return { state: { ...count(state, report), reporters }, fresh: true, unknownVips };
}

function heard(known: Reporter | undefined, { report, atMs }: { report: Report; atMs: number }): Reporter {
  const others = (known?.epochs ?? []).filter(({ epoch }) => epoch !== report.epoch);
  return { atMs, epochs: [{ epoch: report.epoch, sequence: report.sequence }, ...others].slice(0, EPOCHS) };
}

function forget(reporters: Map<string, Reporter>, nowMs: number): void {
  // A clock that was set back makes nobody older.
  for (const [name, { atMs }] of reporters) if (nowMs - atMs > REPORTER_MS) reporters.delete(name);
}

function count(state: MeteringState, { usage: reported }: Report): MeteringState {
  const usage = new Map(state.usage);
  const vips = new Map<Ip, VipOwner>(state.vips);
  for (const { vip, packetsIn, bytesIn, packetsOut, bytesOut } of reported) {
    const owner = vips.get(vip);
    if (owner === undefined) continue;
    add(usage, owner.loadBalancer, { packetsOut, bytesOut });
    vips.set(vip, {
      ...owner,
      packetsIn: owner.packetsIn + packetsIn,
      bytesIn: owner.bytesIn + bytesIn,
      packetsOut: owner.packetsOut + packetsOut,
      bytesOut: owner.bytesOut + bytesOut,
    });
  }
  return { ...state, usage, vips };
}
