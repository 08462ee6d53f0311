import type { messages } from '../../api/client.js';
import type { Palette } from '../format/color.js';
import { type Cell, formatTable } from '../format/table.js';
import { formatCount } from '../format/units.js';

interface Row {
  readonly owner: string;
  readonly list: string;
  readonly limit: messages.LimitStatus;
}

const columns = [
  { title: 'LIMITED' },
  { title: 'ACCESS LIST' },
  { title: 'SESSIONS', align: 'right' },
  { title: 'NEW/S', align: 'right' },
  { title: 'BITS/S', align: 'right' },
  { title: 'PACKETS/S', align: 'right' },
  { title: 'PER CLIENT', align: 'right' },
  { title: 'REFUSED' },
] as const;

/** What is used of each limit, of how much, and what was refused. Empty where nothing is limited. */
export function limitTable(status: Pick<messages.Status, 'listeners' | 'loadBalancers'>, paint: Palette): string {
  const rows: Row[] = [
    ...status.loadBalancers.flatMap(({ loadBalancer, limit }) =>
      limit ? [{ owner: loadBalancer, list: '', limit }] : [],
    ),
    ...status.listeners.flatMap(({ loadBalancer, listener, accessControl, limit }) =>
      limit ? [{ owner: `${loadBalancer}/${listener}`, list: listText(accessControl), limit }] : [],
    ),
  ];
  if (rows.length === 0) return '';
  return formatTable(
    columns,
    rows.map((row) => cellsOf(row, paint)),
    paint.bold,
  );
}

function listText(control: messages.AccessControl | null): string {
  return control === null ? '' : `${control.mode === 'ALLOW' ? 'allow' : 'deny'} ${control.accessList}`;
}

function cellsOf({ owner, list, limit }: Row, paint: Palette): Cell[] {
  const { limits } = limit;
  return [
    owner,
    list,
    used(limit.sessions, limits?.sessions, paint),
    used(limit.newSessionsPerSecond, limits?.newSessionsPerSecond, paint),
    used(limit.bitsPerSecond, limits?.bitsPerSecond, paint),
    used(limit.packetsPerSecond, limits?.packetsPerSecond, paint),
    limits?.newSessionsPerSecondPerSource ? formatCount(limits.newSessionsPerSecondPerSource) : '',
    refusedText(limit.refused),
  ];
}

function used(now: bigint, most: bigint | number | undefined, paint: Palette): Cell {
  if (!most) return formatCount(now);
  const text = `${formatCount(now)} of ${formatCount(most)}`;
  return { text, paint: now >= BigInt(most) ? paint.bad : paint.good };
}

function refusedText(refused: messages.Refused | null): string {
  if (refused === null) return '';
  const counts: readonly (readonly [string, bigint])[] = [
    ['access_denied', refused.accessDenied],
    ['connection_rate', refused.connectionRate],
    ['session_limit', refused.sessionLimit],
    ['bandwidth_limit', refused.bandwidthLimit],
    ['packet_limit', refused.packetLimit],
    ['source_rate', refused.sourceRate],
  ];
  const some = counts.filter(([, count]) => count > 0n).map(([word, count]) => `${word} ${formatCount(count)}`);
  return some.length === 0 ? 'none' : some.join(', ');
}
