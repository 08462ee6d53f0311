import { createHash } from 'node:crypto';
import type { Entry } from './journal.js';
import type { MeteringState, Reading, Reporter, VipOwner } from './state.js';
import type { Count, Usage } from './types.js';

/** The state, and the lines on their way into files. */
export interface Checkpoint {
  readonly state: MeteringState;
  readonly outbox: readonly Entry[];
}

/** Raised when a reader of today would misread what is written. */
const format = 1;

/** One JSON object: sha256 over all that follows, then format and content, rows as short lists. */
export function encodeCheckpoint({ state, outbox }: Checkpoint): string {
  const { generation, hourMs, services, usage, vips, reporters, ownerless } = state;
  const content = {
    format,
    generation,
    hourMs,
    services: [...services].map(([id, { owner, packets, bytes, sessions }]) => [
      id,
      owner,
      ...texts(packets, bytes, sessions),
    ]),
    usage: [...usage].map(([name, one]) => [
      name,
      ...texts(one.packetsIn, one.bytesIn, one.packetsOut, one.bytesOut, one.newSessions),
      one.peakSessions,
      one.meteredMs,
    ]),
    vips: [...vips.values()].map((one) => [
      one.vip,
      one.loadBalancer,
      ...texts(one.packetsIn, one.bytesIn, one.packetsOut, one.bytesOut),
      one.goneAtMs,
    ]),
    reporters: [...reporters].map(([name, { atMs, epochs }]) => [
      name,
      atMs,
      ...epochs.flatMap(({ epoch, sequence }) => [epoch, String(sequence)]),
    ]),
    ownerless: texts(ownerless.packets, ownerless.bytes, ownerless.sessions),
    outbox: outbox.map(({ day, offset, text }) => [day, offset, text]),
  };
  const text = JSON.stringify(content);
  return `{"sha256":"${digest(text)}",${text.slice(1)}\n`;
}

/** @throws Error saying what is damaged: nothing of such a file may be used. */
export function decodeCheckpoint(text: string): Checkpoint {
  const { sha256, ...content } = parse(text);
  if (content['format'] !== format)
    throw new Error(`format ${JSON.stringify(content['format'])}, this version reads ${format}`);
  if (sha256 !== digest(JSON.stringify(content))) throw new Error('its checksum does not match its content');
  // Whole, so written by this code: the shapes are those from above.
  const rows = content as unknown as Rows;
  const [packets, bytes, sessions] = rows.ownerless;
  return {
    state: {
      generation: rows.generation,
      hourMs: rows.hourMs,
      services: new Map(
        rows.services.map(([id, owner, ...count]) => [id, { owner, ...countOf(count) } satisfies Reading]),
      ),
      usage: new Map(rows.usage.map(([name, ...one]) => [name, usageOf(one)])),
      finished: [],
      vips: new Map(rows.vips.map((row) => [row[0], vipOf(row)])),
      reporters: new Map(rows.reporters.map(([name, atMs, ...epochs]) => [name, reporterOf(atMs, epochs)])),
      ownerless: countOf([packets, bytes, sessions]),
    },
    outbox: rows.outbox.map(([day, offset, lines]) => ({ day, offset, text: lines })),
  };
}

type UsageRow = [string, string, string, string, string, number, number];
type VipRow = [string, string, string, string, string, string, number | null];

interface Rows {
  readonly generation: string;
  readonly hourMs: number;
  readonly services: readonly [number, string | null, string, string, string][];
  readonly usage: readonly [string, ...UsageRow][];
  readonly vips: readonly VipRow[];
  readonly reporters: readonly [string, number, ...string[]][];
  readonly ownerless: readonly [string, string, string];
  readonly outbox: readonly [string, number, string][];
}

function countOf([packets, bytes, sessions]: readonly [string, string, string]): Count {
  return { packets: BigInt(packets), bytes: BigInt(bytes), sessions: BigInt(sessions) };
}

function usageOf([packetsIn, bytesIn, packetsOut, bytesOut, newSessions, peakSessions, meteredMs]: UsageRow): Usage {
  return {
    packetsIn: BigInt(packetsIn),
    bytesIn: BigInt(bytesIn),
    packetsOut: BigInt(packetsOut),
    bytesOut: BigInt(bytesOut),
    newSessions: BigInt(newSessions),
    peakSessions,
    meteredMs,
  };
}

function vipOf([vip, loadBalancer, packetsIn, bytesIn, packetsOut, bytesOut, goneAtMs]: VipRow): VipOwner {
  return {
    vip,
    loadBalancer,
    packetsIn: BigInt(packetsIn),
    bytesIn: BigInt(bytesIn),
    packetsOut: BigInt(packetsOut),
    bytesOut: BigInt(bytesOut),
    goneAtMs,
  };
}

function reporterOf(atMs: number, flat: readonly string[]): Reporter {
  const epochs = [];
  for (let i = 0; i + 1 < flat.length; i += 2) epochs.push({ epoch: flat[i]!, sequence: BigInt(flat[i + 1]!) });
  return { atMs, epochs };
}

function parse(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(text === '' ? 'it is empty' : 'it is no whole JSON: truncated or overwritten');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('it is no JSON object');
  return value as Record<string, unknown>;
}

/** JSON has no integers beyond 2^53. */
function texts(...counts: readonly bigint[]): string[] {
  return counts.map(String);
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
