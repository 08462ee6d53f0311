import type { MeteringRecord } from './types.js';

/** A record as a line: the JSON mapping of spillway.v1.MeteringRecord, every field there. */
export function lineOf(record: MeteringRecord): string {
  return `${JSON.stringify({
    loadBalancer: record.loadBalancer,
    hour: new Date(record.hourMs).toISOString().replace('.000', ''),
    packetsIn: String(record.packetsIn),
    bytesIn: String(record.bytesIn),
    packetsOut: String(record.packetsOut),
    bytesOut: String(record.bytesOut),
    newSessions: String(record.newSessions),
    peakSessions: String(record.peakSessions),
    seconds: secondsOf(record),
  })}\n`;
}

export function secondsOf({ meteredMs }: Pick<MeteringRecord, 'meteredMs'>): number {
  return Math.round(meteredMs / 1000);
}

/** Null: no such line. */
export function parseLine(text: string): MeteringRecord | null {
  const fields = parseJson(text);
  if (typeof fields !== 'object' || fields === null) return null;
  const { loadBalancer, hour, seconds, ...counts } = fields as Record<string, unknown>;
  const hourMs = typeof hour === 'string' ? Date.parse(hour) : Number.NaN;
  if (typeof loadBalancer !== 'string' || !Number.isSafeInteger(hourMs) || !Number.isSafeInteger(seconds)) return null;
  const names = ['packetsIn', 'bytesIn', 'packetsOut', 'bytesOut', 'newSessions', 'peakSessions'] as const;
  const values = names.map((name) => toCount(counts[name]));
  const [packetsIn, bytesIn, packetsOut, bytesOut, newSessions, peakSessions] = values;
  if (values.includes(null)) return null;
  return {
    loadBalancer,
    hourMs,
    packetsIn: packetsIn!,
    bytesIn: bytesIn!,
    packetsOut: packetsOut!,
    bytesOut: bytesOut!,
    newSessions: newSessions!,
    peakSessions: Number(peakSessions),
    meteredMs: (seconds as number) * 1000,
  };
}

function toCount(value: unknown): bigint | null {
  return typeof value === 'string' && /^\d{1,39}$/.test(value) ? BigInt(value) : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** One record for each LoadBalancer and hour, by hour, then by name. */
export function merged(records: Iterable<MeteringRecord>): readonly MeteringRecord[] {
  const found = new Map<string, MeteringRecord>();
  for (const record of records) {
    const key = `${record.hourMs}/${record.loadBalancer}`;
    const before = found.get(key);
    found.set(key, before === undefined ? record : sumOf(before, record));
  }
  return [...found.values()].sort((a, b) => a.hourMs - b.hourMs || (a.loadBalancer < b.loadBalancer ? -1 : 1));
}

function sumOf(a: MeteringRecord, b: MeteringRecord): MeteringRecord {
  return {
    ...a,
    packetsIn: a.packetsIn + b.packetsIn,
    bytesIn: a.bytesIn + b.bytesIn,
    packetsOut: a.packetsOut + b.packetsOut,
    bytesOut: a.bytesOut + b.bytesOut,
    newSessions: a.newSessions + b.newSessions,
    peakSessions: Math.max(a.peakSessions, b.peakSessions),
    meteredMs: a.meteredMs + b.meteredMs,
  };
}
