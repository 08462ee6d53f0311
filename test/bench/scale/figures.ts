import { cpus, loadavg, machine, release, totalmem } from 'node:os';
import Table from 'cli-table3';
import pc from 'picocolors';
import type { Options } from './options.js';

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: 's' | 'ms' | 'MB' | 'sessions' | 'backends';
  /** The largest value allowed ('sessions', 'backends': the smallest); null where none was set. */
  readonly limit: number | null;
  readonly met: boolean | null;
}

export interface Host {
  readonly kernel: string;
  readonly machine: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMB: number;
  /** Load averages of 1, 5 and 15 minutes before the run: with other work, times are worth little. */
  readonly load: readonly string[];
}

export interface Report {
  readonly host: Host & { readonly loadAtEnd: readonly string[] };
  readonly settings: Options;
  readonly figures: readonly Figure[];
}

export function figure(name: string, value: number, unit: Figure['unit'], limit: number | null = null): Figure {
  const atLeast = unit === 'sessions' || unit === 'backends';
  const met = limit === null ? null : atLeast ? value >= limit : value <= limit;
  return { name, value, unit, limit, met };
}

/** Median and worst, the limit being for both. */
export function spread(name: string, values: readonly number[], unit: Figure['unit'], limit: number | null): Figure[] {
  const sorted = [...values].sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1] ?? Number.NaN;
  const worst = sorted[sorted.length - 1] ?? Number.NaN;
  return [figure(`${name}, median`, median, unit, limit), figure(`${name}, worst`, worst, unit, limit)];
}

export function hostOf(): Host {
  const [first] = cpus();
  return {
    kernel: release(),
    machine: machine(),
    cpu: first?.model ?? 'unknown',
    cores: cpus().length,
    memoryMB: Math.round(totalmem() / 1e6),
    load: loadavg().map((one) => one.toFixed(1)),
  };
}

/** For people. Colour only on a terminal. */
export function renderReport({ host, settings, figures }: Report): string {
  const table = new Table({
    head: ['figure', 'value', 'limit', 'met'],
    colAligns: ['left', 'right', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  });
  for (const { name, value, unit, limit, met } of figures) {
    const text = limit === null ? '' : `${show(limit)} ${unit}`;
    table.push([name, `${show(value)} ${unit}`, text, met === null ? '' : met ? pc.green('yes') : pc.red('no')]);
  }
  const { listeners, backends, sessions } = settings;
  return [
    `${host.cpu}, ${host.cores} cores, kernel ${host.kernel}; load ${host.load[0]} at the start, ${host.loadAtEnd[0]} at the end`,
    `${listeners} listeners of ${backends} backends each (${listeners * backends}), table for ${sessions} sessions`,
    table.toString(),
  ].join('\n');
}

function show(value: number): string {
  return Number.isInteger(value) ? `${value}` : value.toFixed(value < 10 ? 2 : 1);
}
