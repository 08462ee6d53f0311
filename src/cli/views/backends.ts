import type { messages } from '../../api/client.js';
import type { Palette } from '../format/color.js';
import { type Cell, formatTable, printable } from '../format/table.js';
import { formatAge, formatDuration, formatTime, toMs } from '../format/time.js';
import { formatBytes, formatCount } from '../format/units.js';
import type { ViewOptions } from './status.js';

export interface BackendRow {
  readonly listener: messages.ListenerStatus;
  readonly backend: messages.BackendStatus;
}

/** Each backend once for each listener that uses it: health and traffic are the listener's. */
export function selectBackends(
  status: messages.Status,
  options: { group: string | null; unhealthyOnly: boolean },
): BackendRow[] {
  return status.listeners
    .filter((listener) => options.group === null || listener.backendGroup === options.group)
    .flatMap((listener) => listener.backends.map((backend) => ({ listener, backend })))
    .filter(({ backend }) => !options.unhealthyOnly || !isWell(backend));
}

/** What packets leave by; the tag is told, for a VLAN may have any name. */
export function egressText({ egressInterface, egressVlan }: { egressInterface: string; egressVlan: number }): string {
  return egressVlan === 0 ? printable(egressInterface) : `${printable(egressInterface)} (VLAN ${egressVlan})`;
}

/** During slow start, and where another zone is preferred: what it counts for now, of what it might. */
function weightCell({ draining, weight, effectiveWeight }: messages.BackendStatus, paint: Palette): Cell {
  if (draining) return { text: 'drains', paint: paint.warn };
  if (effectiveWeight >= weight) return String(weight);
  return { text: `${Number(effectiveWeight.toFixed(2))} of ${weight}`, paint: paint.warn };
}

function isWell(backend: messages.BackendStatus): boolean {
  return backend.up && (backend.health === 'HEALTHY' || backend.health === 'UNCHECKED');
}

export function formatBackends(rows: readonly BackendRow[], { nowMs, paint }: ViewOptions): string {
  // Where nobody names zones there is nothing to tell apart.
  const zoned = rows.some(({ backend }) => backend.zone !== '');
  const cells = rows.map(({ listener, backend }): Cell[] => [
    `${listener.loadBalancer}/${listener.listener}`,
    `${listener.backendGroup}/${backend.name}`,
    backend.address,
    ...(zoned ? [backend.zone || '-'] : []),
    backend.egressInterface === '' ? '-' : egressText(backend),
    weightCell(backend, paint),
    healthCell(backend.health, paint),
    backend.up ? { text: 'yes', paint: paint.good } : { text: 'no', paint: paint.bad },
    backend.since === null ? '-' : formatAge(nowMs - toMs(backend.since)),
    backend.lastCheckDuration === null ? '-' : formatDuration(toMs(backend.lastCheckDuration)),
    formatCount(backend.traffic?.activeSessions ?? 0n),
    formatCount(backend.traffic?.packets ?? 0n),
    formatBytes(backend.traffic?.bytes ?? 0n),
    backend.reason,
  ]);
  return formatTable(
    [
      { title: 'LISTENER' },
      { title: 'BACKEND' },
      { title: 'ADDRESS' },
      ...(zoned ? [{ title: 'ZONE' }] : []),
      { title: 'EGRESS' },
      { title: 'WEIGHT', align: 'right' },
      { title: 'HEALTH' },
      { title: 'UP' },
      { title: 'SINCE', align: 'right' },
      { title: 'CHECK', align: 'right' },
      { title: 'SESSIONS', align: 'right' },
      { title: 'PACKETS', align: 'right' },
      { title: 'BYTES', align: 'right' },
      { title: 'REASON' },
    ],
    cells,
    paint.bold,
  );
}

export function formatHistory(rows: readonly BackendRow[], { paint }: ViewOptions): string {
  return rows
    .map(({ listener, backend }) => {
      const title = `${listener.loadBalancer}/${listener.listener} ${listener.backendGroup}/${backend.name}`;
      const lines = backend.history.map((change) => historyLine(change, paint));
      return `\n${paint.bold(title)}\n${lines.length === 0 ? paint.dim('  no change yet\n') : lines.join('')}`;
    })
    .join('');
}

function historyLine(change: messages.HealthChange, paint: Palette): string {
  const at = change.at === null ? '-' : formatTime(toMs(change.at));
  const to = healthCell(change.to, paint);
  const state = typeof to === 'string' ? to : to.paint(to.text);
  return `  ${at}  ${wordOf(change.from)} -> ${state}: ${printable(change.reason)}\n`;
}

export function healthCell(health: messages.HealthState, paint: Palette): Cell {
  const text = wordOf(health);
  if (health === 'HEALTHY') return { text, paint: paint.good };
  if (health === 'UNHEALTHY') return { text, paint: paint.bad };
  return { text, paint: health === 'UNKNOWN' ? paint.warn : paint.dim };
}

/** Enums are words here; a number where this version knows no word. */
function wordOf(value: string | number): string {
  return String(value).toLowerCase();
}
