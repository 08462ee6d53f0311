import type { AttachResult } from './attach.js';
import type { Check } from './checks/check.js';
import type { DetachResult } from './detach.js';
import type { Diagnosis } from './doctor/doctor.js';
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
  lines.push(
    `VIPs: ${result.vips.join(', ') || 'none on lo, none named: nothing is counted'}; replies by ${result.out.join(', ')}`,
  );
  if (result.fallback !== null) lines.push(`native XDP was not to be had: ${result.fallback}`);
  return `${lines.join('\n')}\n`;
}

export function detachText({ instance, interfaces }: DetachResult): string {
  if (interfaces.length === 0) return `nothing was attached (instance ${instance})\n`;
  return `detached from ${interfaces.join(', ')} (instance ${instance})\n`;
}

export function diagnosisText({ instance, interface: name, checks, problems, warnings }: Diagnosis): string {
  const some = (count: number, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`;
  const verdict =
    problems + warnings === 0 ? 'nothing is wrong' : `${some(problems, 'problem')}, ${some(warnings, 'warning')}`;
  return `${name} (instance ${instance})\n\n${checksText(checks)}\n${verdict}\n`;
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
    ['vips', `${status.vips.join(', ') || 'none is counted'}${status.onlyVips ? '' : ' (any is stripped)'}`],
    ['gue port', status.guePort === null ? 'off' : String(status.guePort)],
    ['clamp mss', String(status.clampMss)],
    ['replies by', status.out.join(', ') || '-'],
    ...status.mappings.map((mapping, i) => [i === 0 ? 'map' : '', mapping]),
    ...(status.exempt.length > 0 ? [['exempt', status.exempt.join(', ')]] : []),
  ];
  const counts = status.counters
    .filter(({ packets }) => packets > 0n)
    .map(({ reason, packets, bytes }) => [reason, String(packets), String(bytes)]);
  const traffic = status.traffic.map((one) => [
    one.listed ? one.vip : `${one.vip} (no longer listed)`,
    ...[one.packetsIn, one.bytesIn, one.packetsOut, one.bytesOut].map(String),
    one.overhead === 0 ? '-' : String(one.overhead),
  ]);
  const events = status.events
    .filter(({ packets }) => packets > 0n)
    .map(({ event, packets }) => [event, String(packets)]);
  const sections = [
    table(fields),
    section(['VIP', 'PACKETS IN', 'BYTES IN', 'PACKETS OUT', 'BYTES OUT', 'TUNNEL'], traffic),
    section(['COUNTED', 'PACKETS', 'BYTES'], counts),
    section(['DONE', 'PACKETS'], events),
  ];
  return [...sections, checksText(status.checks)].filter((text) => text !== '').join('\n');
}

/** A line each; below it what comes of it, and what mends it. */
export function checksText(checks: readonly Check[]): string {
  const rows = checks.map(({ level, name, detail, consequence, remedy }) => [
    level,
    name,
    [detail, consequence, remedy === '' ? '' : `mend: ${remedy}`].filter((line) => line !== '').join('\n'),
  ]);
  return table([['CHECK', '', ''], ...rows]);
}

function section(title: readonly string[], rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? '' : table([title, ...rows]);
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
  return [`${before}  ${first}`.trimEnd(), ...more.map((text) => `${indent}${text}`)]
    .map((text) => `${text}\n`)
    .join('');
}
