import { CapacityError } from '../base/errors.js';
import type { Ip } from '../base/ip.js';
import { add } from './count.js';
import type { MeteringState, Reporter, VipOwner } from './state.js';
import type { Report, Usage } from './types.js';

/** A reporter that restarts draws a new epoch; a report of one before may still be on its way. */
const EPOCHS = 4;
/** Nobody tries the same report for so long. */
const REPORTER_MS = 7 * 24 * 3_600_000;

export interface Taken {
  /** False: it was counted before. */
  readonly fresh: boolean;
  /** VIPs that no LoadBalancer has: what was said of them is counted nowhere. */
  readonly unknownVips: readonly Ip[];
}

/**
 * Counts each report once, however often it comes: by reporter, epoch and sequence. A report that is behind the last
 * one of its epoch was counted; one further on than the next is new, too (this agent has forgotten, or another was
 * asked). VIPs of others are left out and named, for a backend may serve several clusters. CapacityError: so many
 * reporters are known that another would push one out, and with it its sequence.
 */
export function takeAll(
  state: MeteringState,
  reports: readonly Report[],
  { atMs, most }: { atMs: number; most: number },
): { state: MeteringState; answers: readonly (Taken | CapacityError)[] } {
  const draft: Draft = {
    reporters: new Map(state.reporters),
    usage: new Map(state.usage),
    vips: new Map(state.vips),
  };
  const answers = reports.map((report) => take(draft, report, { atMs, most }));
  const fresh = answers.some((answer) => 'fresh' in answer && answer.fresh);
  return { state: fresh ? { ...state, ...draft } : state, answers };
}

interface Draft {
  readonly reporters: Map<string, Reporter>;
  readonly usage: Map<string, Usage>;
  readonly vips: Map<Ip, VipOwner>;
}

function take(draft: Draft, report: Report, { atMs, most }: { atMs: number; most: number }): Taken | CapacityError {
  const { reporters, vips } = draft;
  const known = reporters.get(report.reporter);
  const last = known?.epochs.find(({ epoch }) => epoch === report.epoch)?.sequence ?? 0n;
  const unknownVips = [...new Set(report.usage.map(({ vip }) => vip))].filter((vip) => !vips.has(vip));
  if (report.sequence <= last) return { fresh: false, unknownVips };

  if (known === undefined && reporters.size >= most) forget(reporters, atMs);
  if (known === undefined && reporters.size >= most) {
    return new CapacityError('metering.reporters', most, reporters.size + 1);
  }
  reporters.set(report.reporter, heard(known, { report, atMs }));
  count(draft, report);
  return { fresh: true, unknownVips };
}

function heard(known: Reporter | undefined, { report, atMs }: { report: Report; atMs: number }): Reporter {
  const others = (known?.epochs ?? []).filter(({ epoch }) => epoch !== report.epoch);
  return { atMs, epochs: [{ epoch: report.epoch, sequence: report.sequence }, ...others].slice(0, EPOCHS) };
}

function forget(reporters: Map<string, Reporter>, nowMs: number): void {
  // A clock that was set back makes nobody older.
  for (const [name, { atMs }] of reporters) if (nowMs - atMs > REPORTER_MS) reporters.delete(name);
}

function count({ usage, vips }: Draft, { usage: reported }: Report): void {
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
}
