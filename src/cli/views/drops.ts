import type { messages } from '../../api/client.js';
import { type Cell, formatTable } from '../format/table.js';
import { formatAge, toMs } from '../format/time.js';
import { formatCount, formatRate } from '../format/units.js';
import { formatEndpoint } from '../names.js';
import type { Rates } from '../rates.js';
import type { ViewOptions } from './status.js';

/** What the data path answers has a word of its own: "echo_answered". */
function verdictOf({ drop, reason }: messages.ReasonCount, paint: ViewOptions['paint']): Cell {
  if (drop) return { text: 'drop', paint: paint.bad };
  return { text: reason.endsWith('_answered') ? 'answer' : 'pass', paint: paint.dim };
}

/** Drops first, the most frequent first; empty without a row. */
export function formatReasons(
  reasons: readonly messages.ReasonCount[],
  options: ViewOptions & { rates: Rates; zero: boolean },
): string {
  const { rates, nowMs, paint, zero } = options;
  const rows = reasons
    .filter((row) => zero || row.packets > 0n)
    .sort(
      (a, b) => Number(b.drop) - Number(a.drop) || Number(b.packets - a.packets) || a.reason.localeCompare(b.reason),
    )
    .map((row): Cell[] => [
      verdictOf(row, paint),
      row.reason,
      formatCount(row.packets),
      formatRate(rates.ofReason(row)),
      row.lastSample === null ? '-' : formatSample(row.lastSample, nowMs),
      row.help,
    ]);
  if (rows.length === 0) return '';
  return formatTable(
    [
      { title: 'VERDICT' },
      { title: 'REASON' },
      { title: 'PACKETS', align: 'right' },
      { title: 'PER SECOND', align: 'right' },
      { title: 'LAST SAMPLE' },
      { title: 'MEANING' },
    ],
    rows,
    paint.bold,
  );
}

const protocolNames: Readonly<Record<number, string>> = { 1: 'ICMP', 6: 'TCP', 17: 'UDP', 58: 'ICMPv6' };

function formatSample(sample: messages.DropSample, nowMs: number): string {
  const protocol = protocolNames[sample.ipProtocol] ?? `protocol ${sample.ipProtocol}`;
  const end = (address: string, port: number): string => (port === 0 ? address : formatEndpoint(address, port));
  const flow = `${end(sample.source, sample.sourcePort)} > ${end(sample.destination, sample.destinationPort)}`;
  const when = sample.at === null ? '' : `, ${formatAge(nowMs - toMs(sample.at))} ago`;
  return `${protocol} ${flow}, ${sample.length} B${when}`;
}
