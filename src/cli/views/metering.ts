import type { messages } from '../../api/client.js';
import type { Palette } from '../format/color.js';
import type { Cell } from '../format/table.js';
import { formatDuration, formatTime, toMs } from '../format/time.js';
import { formatBytes, formatCount } from '../format/units.js';

export const meteringColumns = [
  { title: 'HOUR' },
  { title: 'LOAD BALANCER' },
  { title: 'PACKETS IN', align: 'right' },
  { title: 'BYTES IN', align: 'right' },
  { title: 'PACKETS OUT', align: 'right' },
  { title: 'BYTES OUT', align: 'right' },
  { title: 'NEW SESSIONS', align: 'right' },
  { title: 'PEAK', align: 'right' },
  { title: 'METERED', align: 'right' },
] as const;

export function meteringRow(record: messages.MeteringRecord): Cell[] {
  const hour = record.hour === null ? '' : formatTime(toMs(record.hour)).replace(/:\d\dZ$/, 'Z');
  return [hour, record.loadBalancer, ...counts(record), formatDuration(record.seconds * 1000)];
}

type Counts = Pick<
  messages.MeteringRecord,
  'packetsIn' | 'bytesIn' | 'packetsOut' | 'bytesOut' | 'newSessions' | 'peakSessions'
>;

function counts(of: Counts): string[] {
  return [
    formatCount(of.packetsIn),
    formatBytes(of.bytesIn),
    formatCount(of.packetsOut),
    formatBytes(of.bytesOut),
    formatCount(of.newSessions),
    formatCount(of.peakSessions),
  ];
}

/** The last line of a table: sums, and the highest of the peaks, which may be of different LoadBalancers. */
export class Totals {
  count = 0;
  readonly #sum = { packetsIn: 0n, bytesIn: 0n, packetsOut: 0n, bytesOut: 0n, newSessions: 0n, peakSessions: 0n };

  add(record: Counts): void {
    this.count++;
    for (const key of ['packetsIn', 'bytesIn', 'packetsOut', 'bytesOut', 'newSessions'] as const) {
      this.#sum[key] += record[key];
    }
    if (record.peakSessions > this.#sum.peakSessions) this.#sum.peakSessions = record.peakSessions;
  }

  row(paint: Palette): Cell[] {
    return [{ text: 'total', paint: paint.bold }, '', ...counts(this.#sum), ''];
  }
}
