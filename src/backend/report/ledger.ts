/**
 * What of the kernel's counters was told to whom. Pure; kept in a file between steps, before anything is sent, so that
 * a crash at any point counts nothing twice and forgets nothing.
 *
 * A report that may have arrived is frozen: the same bytes go to the same target under the same number until it says
 * that they are counted. What flows meanwhile goes into later reports, to whichever target answers.
 */
import type { Ip } from '../../base/ip.js';

export interface Totals {
  readonly packetsIn: bigint;
  readonly bytesIn: bigint;
  readonly packetsOut: bigint;
  readonly bytesOut: bigint;
}

/** The counters of one VIP in one instance, since their birth. */
export interface Reading extends Totals {
  /** Of these counters and no others: they begin at 0 with it. */
  readonly born: string;
  readonly vip: Ip;
}

export interface VipUsage extends Totals {
  readonly vip: Ip;
}

export interface Report {
  readonly target: string;
  readonly sequence: bigint;
  readonly usage: readonly VipUsage[];
}

export interface Ledger {
  /** Drawn with the ledger. */
  readonly epoch: string;
  /** Of the last report that was made. */
  readonly sequence: bigint;
  /** By birth: what is in reports, and when the counters were last seen. */
  readonly taken: ReadonlyMap<string, Totals & { readonly seenMs: number }>;
  /** Was in a report that its target refused: goes into the next. */
  readonly returned: readonly VipUsage[];
  /** May have arrived. */
  readonly unsettled: readonly Report[];
}

/** As the service has it. */
export const mostVips = 4096;
/** Counters that were not seen for so long will not come back. */
const forgetMs = 30 * 24 * 3_600_000;

const none: Totals = { packetsIn: 0n, bytesIn: 0n, packetsOut: 0n, bytesOut: 0n };

export function emptyLedger(epoch: string): Ledger {
  return { epoch, sequence: 0n, taken: new Map(), returned: [], unsettled: [] };
}

/** What no report holds yet, by VIP; VIPs without any are left out. */
export function untold(ledger: Ledger, readings: readonly Reading[]): readonly VipUsage[] {
  const since = readings
    .filter((reading) => isCurrent(ledger, reading))
    .map((reading) => ({
      vip: reading.vip,
      ...subtract(reading, ledger.taken.get(reading.born) ?? none),
    }));
  return merge([...ledger.returned, ...since]);
}

/** False: read while its slot was given to another VIP, so that the birth is not that of these numbers. */
function isCurrent(ledger: Ledger, reading: Reading): boolean {
  const { packetsIn, bytesIn, packetsOut, bytesOut } = subtract(reading, ledger.taken.get(reading.born) ?? none);
  return [packetsIn, bytesIn, packetsOut, bytesOut].every((count) => count >= 0n);
}

/**
 * The next report, to this target, of at most 4,096 VIPs. To be kept before it is sent.
 * @returns null when there is nothing to tell
 */
export function begin(
  ledger: Ledger,
  readings: readonly Reading[],
  { target, atMs }: { readonly target: string; readonly atMs: number },
): { readonly ledger: Ledger; readonly report: Report } | null {
  const usage = untold(ledger, readings).slice(0, mostVips);
  if (usage.length === 0) return null;
  const told = new Set(usage.map(({ vip }) => vip));
  const taken = new Map([...ledger.taken].filter(([, { seenMs }]) => atMs - seenMs < forgetMs));
  for (const { born, vip, ...totals } of readings) {
    if (told.has(vip) && isCurrent(ledger, { born, vip, ...totals })) taken.set(born, { ...totals, seenMs: atMs });
    else if (taken.has(born)) taken.set(born, { ...taken.get(born)!, seenMs: atMs });
  }
  const report = { target, sequence: ledger.sequence + 1n, usage };
  return {
    report,
    ledger: {
      ...ledger,
      sequence: report.sequence,
      taken,
      returned: ledger.returned.filter(({ vip }) => !told.has(vip)),
      unsettled: [...ledger.unsettled, report],
    },
  };
}

/** Its target has counted it. */
export function settle(ledger: Ledger, { sequence }: Report): Ledger {
  return { ...ledger, unsettled: ledger.unsettled.filter((report) => report.sequence !== sequence) };
}

/** Its target has not counted it, and said so. */
export function giveBack(ledger: Ledger, report: Report): Ledger {
  return { ...settle(ledger, report), returned: merge([...ledger.returned, ...report.usage]) };
}

function merge(all: readonly VipUsage[]): readonly VipUsage[] {
  const byVip = new Map<Ip, VipUsage>();
  for (const one of all) byVip.set(one.vip, { vip: one.vip, ...add(byVip.get(one.vip) ?? none, one) });
  return [...byVip.values()].filter(hasAny);
}

function hasAny({ packetsIn, bytesIn, packetsOut, bytesOut }: Totals): boolean {
  return packetsIn > 0n || bytesIn > 0n || packetsOut > 0n || bytesOut > 0n;
}

function add(a: Totals, b: Totals): Totals {
  return {
    packetsIn: a.packetsIn + b.packetsIn,
    bytesIn: a.bytesIn + b.bytesIn,
    packetsOut: a.packetsOut + b.packetsOut,
    bytesOut: a.bytesOut + b.bytesOut,
  };
}

function subtract(a: Totals, b: Totals): Totals {
  return {
    packetsIn: a.packetsIn - b.packetsIn,
    bytesIn: a.bytesIn - b.bytesIn,
    packetsOut: a.packetsOut - b.packetsOut,
    bytesOut: a.bytesOut - b.bytesOut,
  };
}
