import type { AttachResult } from './attach.js';
import type { DetachResult } from './detach.js';
import type { InstanceStatus } from './status.js';

export function attachText(result: AttachResult): string {
  const how = {
    attached: 'attached to',
    replaced: 'replaced without a gap on',
    reattached: 'attached anew, with a short gap, to',
  }[result.action];
  const lines = [
    `${how} ${result.interface} (instance ${result.instance}, ${result.mode}, program ${result.programId})`,
  ];
  if (result.fallback !== null) lines.push(`native XDP was not to be had: ${result.fallback}`);
  return `${lines.join('\n')}\n`;
}

export function detachText({ instance, interfaces }: DetachResult): string {
  if (interfaces.length === 0) return `nothing was attached (instance ${instance})\n`;
  return `detached from ${interfaces.join(', ')} (instance ${instance})\n`;
}

export function statusText(instances: readonly InstanceStatus[]): string {
  if (instances.length === 0) return 'nothing is attached\n';
  return instances.map(instanceText).join('\n');
}

function instanceText(status: InstanceStatus): string {
  const fields = [
    ['instance', status.instance],
    ['interface', status.interface],
    ['state', status.state === 'attached' ? `attached, ${status.mode}, program ${status.programId}` : status.state],
    ['mac', status.macs.join(', ') || '-'],
    ['from', status.from.join(', ') || 'any'],
    ['vips', status.vips.join(', ') || 'any'],
  ];
  const counts = status.counters
    .filter(({ packets }) => packets > 0n)
    .map(({ reason, packets, bytes }) => [reason, String(packets), String(bytes)]);
  const checks = status.checks.map(({ level, name, detail, remedy }) => [
    level,
    name,
    remedy === '' ? detail : `${detail}\n${remedy}`,
  ]);
  const sections = [table(fields), counts.length > 0 ? table([['COUNTED', 'PACKETS', 'BYTES'], ...counts]) : ''];
  return [...sections, table([['CHECK', '', ''], ...checks])].filter((section) => section !== '').join('\n');
}

/** Columns as wide as their widest cell; the last one may hold several lines. */
function table(rows: readonly (readonly string[])[]): string {
  const columns = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) => line(row, widths)).join('');
}

function line(row: readonly string[], widths: readonly number[]): string {
  const before = row
    .slice(0, -1)
    .map((cell, i) => cell.padEnd(widths[i] ?? 0))
    .join('  ');
  const [first = '', ...more] = (row.at(-1) ?? '').split('\n');
  const indent = ' '.repeat(before.length + 2);
  return [`${before}  ${first}`.trimEnd(), ...more.map((text) => `${indent}mend: ${text}`)]
    .map((text) => `${text}\n`)
    .join('');
}
