import type { messages } from '../../api/client.js';
import { type Cell, formatTable, printable } from '../format/table.js';
import { formatBitRate, formatCount, formatRate } from '../format/units.js';
import type { Rates, TrafficRate } from '../rates.js';
import { healthCell } from './backends.js';
import type { ViewOptions } from './status.js';

export interface TopRow {
  readonly listener: messages.ListenerStatus;
  readonly backend: messages.BackendStatus | null;
  readonly rate: TrafficRate;
}

export interface Top {
  readonly total: TrafficRate;
  readonly dropsPerSecond: number;
  /** Busiest first; so the backends. */
  readonly listeners: readonly TopRow[];
  readonly backends: readonly TopRow[];
}

export function topOf(status: messages.Status, rates: Rates): Top {
  const listeners = status.listeners.map((listener) => ({ listener, backend: null, rate: rates.ofListener(listener) }));
  const backends = status.listeners.flatMap((listener) =>
    listener.backends.map((backend) => ({ listener, backend, rate: rates.ofBackend(listener, backend) })),
  );
  const total = listeners.reduce(
    (sum, { rate }) => ({
      packets: sum.packets + rate.packets,
      bytes: sum.bytes + rate.bytes,
      newSessions: sum.newSessions + rate.newSessions,
    }),
    { packets: 0, bytes: 0, newSessions: 0 },
  );
  const dropsPerSecond = status.reasons.filter((row) => row.drop).reduce((sum, row) => sum + rates.ofReason(row), 0);
  return { total, dropsPerSecond, listeners: listeners.sort(busiest), backends: backends.sort(busiest) };
}

function busiest(a: TopRow, b: TopRow): number {
  return b.rate.packets - a.rate.packets || Number(sessionsOf(b) - sessionsOf(a)) || nameOf(a).localeCompare(nameOf(b));
}

function sessionsOf({ listener, backend }: TopRow): bigint {
  return (backend ?? listener).traffic?.activeSessions ?? 0n;
}

function nameOf({ listener, backend }: TopRow): string {
  return backend === null
    ? `${listener.loadBalancer}/${listener.listener}`
    : `${listener.backendGroup}/${backend.name}`;
}

/** `rows`: at most so many lines; listeners get up to half of them. */
export function formatTop(status: messages.Status, top: Top, options: ViewOptions & { rows: number }): string {
  const { paint } = options;
  // Two lines of head, two blank ones, two of titles.
  const room = Math.max(2, options.rows - 6);
  const listenerRoom = Math.min(
    top.listeners.length,
    Math.max(1, room - Math.min(top.backends.length, Math.ceil(room / 2))),
  );
  const head = headLines(status, top, options);
  const listeners = formatTable(
    listenerColumns,
    top.listeners.slice(0, listenerRoom).map((row) => listenerRow(row, options)),
    paint.bold,
  );
  const backends = formatTable(
    backendColumns,
    top.backends.slice(0, room - listenerRoom).map((row) => backendRow(row, options)),
    paint.bold,
  );
  return `${head}\n${listeners}\n${backends}`;
}

function headLines(status: messages.Status, top: Top, { paint }: ViewOptions): string {
  const table = status.sessionTable;
  const live = table === null ? 0n : table.young + table.established + table.closing;
  const totals = [
    `${formatRate(top.total.packets)} packets/s`,
    formatBitRate(top.total.bytes),
    `${formatRate(top.total.newSessions)} new sessions/s`,
    `${formatCount(live)} sessions`,
    `${formatRate(top.dropsPerSecond)} drops/s`,
  ];
  const [first] = status.problems;
  const more = status.problems.length > 1 ? ` (and ${status.problems.length - 1} more)` : '';
  const problem = first === undefined ? paint.good('no problems') : paint.bad(`${printable(first)}${more}`);
  return `${paint.bold(printable(status.node?.hostname ?? '?'))}  ${totals.join(', ')}\nconfiguration ${status.configVersion}, ${problem}\n`;
}

const rateColumns = [
  { title: 'PACKETS/S', align: 'right' },
  { title: 'BITS/S', align: 'right' },
  { title: 'NEW/S', align: 'right' },
  { title: 'SESSIONS', align: 'right' },
] as const;

const listenerColumns = [
  { title: 'LISTENER' },
  { title: 'PORT' },
  { title: 'HEALTHY', align: 'right' },
  ...rateColumns,
] as const;
const backendColumns = [{ title: 'BACKEND' }, { title: 'LISTENER' }, { title: 'HEALTH' }, ...rateColumns] as const;

function listenerRow(row: TopRow, { paint }: ViewOptions): Cell[] {
  const { backendsHealthy, backendsTotal, protocol, port } = row.listener;
  const healthy = `${backendsHealthy}/${backendsTotal}`;
  return [
    nameOf(row),
    `${protocol}/${port}`,
    backendsHealthy === backendsTotal ? healthy : { text: healthy, paint: paint.warn },
    ...rateCells(row),
  ];
}

function backendRow(row: TopRow, { paint }: ViewOptions): Cell[] {
  const { listener } = row;
  return [
    nameOf(row),
    `${listener.loadBalancer}/${listener.listener}`,
    healthCell(row.backend?.health ?? 'UNKNOWN', paint),
    ...rateCells(row),
  ];
}

function rateCells(row: TopRow): Cell[] {
  const { packets, bytes, newSessions } = row.rate;
  return [formatRate(packets), formatBitRate(bytes), formatRate(newSessions), formatCount(sessionsOf(row))];
}
