import type { messages } from '../../api/client.js';
import type { Palette } from '../format/color.js';
import { type Cell, formatFields, formatTable, printable } from '../format/table.js';
import { formatAge, formatTime, toMs } from '../format/time.js';
import { counted, formatBytes, formatCount, formatShare, groupDigits } from '../format/units.js';
import { limitTable } from './limits.js';

export interface ViewOptions {
  readonly nowMs: number;
  readonly paint: Palette;
}

export function formatStatus(status: messages.Status, options: ViewOptions): string {
  const { paint } = options;
  let out = formatFields(
    [
      ['Node', nodeLine(status, options)],
      ['Configuration', configLine(status, options)],
      ...(status.node?.attachments ?? []).map((at) => ['Interface', attachmentLine(at, paint)] as const),
      ['Sessions', sessionsLine(status.sessionTable)],
      ['Table events', eventsLine(status.sessionTable)],
      ['Reconcile', reconcileLine(status.reconciliation, options)],
    ],
    paint.bold,
  );
  out += problemLines(status.problems, paint);
  if (status.listeners.length > 0) out += `\n${listenerTable(status.listeners, paint)}`;
  const limits = limitTable(status, paint);
  if (limits !== '') out += `\n${limits}`;
  return out;
}

function nodeLine({ node }: messages.Status, { nowMs }: ViewOptions): string {
  if (node === null) return 'unknown';
  const up = node.startedAt === null ? '' : `, up ${formatAge(nowMs - toMs(node.startedAt))}`;
  return `${printable(node.hostname)}, spillway ${node.version}, instance ${node.instance}, pid ${node.pid}${up}`;
}

function configLine(status: messages.Status, { nowMs }: ViewOptions): string {
  if (status.configVersion === 0n) return 'none applied yet';
  if (status.configAppliedAt === null) return `version ${status.configVersion}`;
  const at = toMs(status.configAppliedAt);
  return `version ${status.configVersion}, applied ${formatTime(at)} (${formatAge(nowMs - at)} ago)`;
}

function attachmentLine(at: messages.Attachment, paint: Palette): string {
  const state = at.attached ? paint.good('attached') : paint.bad('not attached');
  const mode = at.mode === 'generic' ? paint.warn(`generic (${printable(at.fallbackReason)})`) : at.mode;
  const others = at.serves.filter((name) => name !== at.interface);
  const serves = others.length === 0 ? '' : `, for ${others.map(printable).join(' and ')}`;
  return `${at.interface} ${state}, ${mode}, MTU ${at.mtu}, ${at.mac}${serves}`;
}

function sessionsLine(table: messages.SessionTable | null): string {
  if (table === null) return 'no table';
  const live = table.young + table.established + table.closing;
  const share = formatShare(Number(live), Number(table.slots));
  const parts = `${groupDigits(table.established)} established, ${groupDigits(table.young)} young, ${groupDigits(table.closing)} closing`;
  return `${groupDigits(live)} in ${groupDigits(table.slots)} slots (${share}): ${parts}`;
}

function eventsLine(table: messages.SessionTable | null): string {
  if (table === null) return 'none';
  const counts: readonly (readonly [string, bigint])[] = [
    ['inserted', table.inserted],
    ['moved', table.moved],
    ['reused', table.reusedExpired],
    ['reselected', table.reselected],
    ['evicted closing', table.evictedClosing],
    ['evicted young', table.evictedYoung],
    ['evicted old', table.evictedOld],
    ['not tracked', table.notTracked],
  ];
  const some = counts.filter(([, count]) => count !== 0n).map(([name, count]) => `${formatCount(count)} ${name}`);
  return some.length === 0 ? 'none' : some.join(', ');
}

function reconcileLine(reconciliation: messages.Reconciliation | null, { nowMs, paint }: ViewOptions): string {
  if (reconciliation === null || reconciliation.runs === 0n) return 'not run yet';
  const { runs, repairs, failures, lastAt, lastError } = reconciliation;
  const last = lastAt === null ? '' : `, last ${formatAge(nowMs - toMs(lastAt))} ago`;
  const failed = failures === 0n ? '0 failures' : paint.bad(counted(failures, 'failure'));
  const error = lastError === '' ? '' : `, ${printable(lastError)}`;
  return `${counted(runs, 'run')}, ${counted(repairs, 'repair')}, ${failed}${last}${error}`;
}

export function problemLines(problems: readonly string[], paint: Palette): string {
  if (problems.length === 0)
    return formatFields([['Problems'.padEnd('Configuration'.length), paint.good('none')]], paint.bold);
  return `${paint.bold('Problems')}\n${problems.map((problem) => `  ${paint.bad('!')} ${printable(problem)}\n`).join('')}`;
}

function listenerTable(listeners: readonly messages.ListenerStatus[], paint: Palette): string {
  const rows = listeners.map((one): Cell[] => [
    `${one.loadBalancer}/${one.listener}`,
    one.addresses.join(','),
    `${one.protocol}/${one.port}`,
    one.backendGroup,
    one.forwarding,
    one.scheduler,
    backendsCell(one, paint),
    formatCount(one.traffic?.activeSessions ?? 0n),
    formatCount(one.traffic?.packets ?? 0n),
    formatBytes(one.traffic?.bytes ?? 0n),
    stateCell(one, paint),
  ]);
  const columns = [
    { title: 'LISTENER' },
    { title: 'VIP' },
    { title: 'PORT' },
    { title: 'GROUP' },
    { title: 'FORWARDING' },
    { title: 'SCHEDULER' },
    { title: 'HEALTHY', align: 'right' },
    { title: 'SESSIONS', align: 'right' },
    { title: 'PACKETS', align: 'right' },
    { title: 'BYTES', align: 'right' },
    { title: 'STATE' },
  ] as const;
  return formatTable(columns, rows, paint.bold);
}

function backendsCell(listener: messages.ListenerStatus, paint: Palette): Cell {
  const { backendsHealthy: healthy, backendsTotal: total } = listener;
  return {
    text: `${healthy}/${total}`,
    paint: healthy === total ? paint.good : healthy === 0 ? paint.bad : paint.warn,
  };
}

function stateCell(listener: messages.ListenerStatus, paint: Palette): Cell {
  if (listener.stopped) return { text: 'stopped', paint: paint.warn };
  if (listener.failingOpen) return { text: 'failing open', paint: paint.bad };
  return listener.backendsTotal === 0
    ? { text: 'no backends', paint: paint.bad }
    : { text: 'serving', paint: paint.good };
}
