import Table from 'cli-table3';
import pc from 'picocolors';
import type { Case } from './cases.js';
import type { DriverHost, Spread } from './driver.js';
import type { Feature } from './features.js';
import { type Options, SECTIONS, type Section } from './options.js';

export interface Report {
  readonly host: DriverHost;
  readonly settings: {
    readonly rounds: number;
    readonly packetsPerRound: number;
    readonly sessions: number;
    readonly table: { readonly buckets: number; readonly slots: number; readonly bytes: number };
    /** XDP fragments (jumbo frames over several buffers) were off: frames are linear. */
    readonly frags: boolean;
  };
  readonly features: readonly Feature[];
  readonly cases: readonly Case[];
  readonly faults: readonly string[];
}

export function settingsOf(options: Options, buckets: number): Report['settings'] {
  return {
    rounds: options.rounds,
    packetsPerRound: options.packetsPerRound,
    sessions: options.sessions,
    table: { buckets, slots: buckets * 4, bytes: buckets * 64 },
    frags: false,
  };
}

/** For people: what was measured on, the table, and what went wrong. Colour only on a terminal. */
export function renderReport(report: Report): string {
  const { host, settings, features } = report;
  const { buckets, slots, bytes } = settings.table;
  const off = features.filter(({ inForce }) => !inForce);
  const lines = [
    `${host.cpu}, core ${host.pinned_to}, kernel ${host.kernel}; ${settings.rounds} rounds of ${settings.packetsPerRound} packets`,
    `session table for ${settings.sessions} sessions: ${buckets} buckets, ${slots} slots, ${bytes / 2 ** 20} MiB`,
    `in force: ${features
      .filter(({ inForce }) => inForce)
      .map(({ name }) => name)
      .join(', ')}`,
    ...off.map(({ name, evidence }) => pc.red(`NOT in force: ${name} (${evidence})`)),
    ...SECTIONS.flatMap((section) => renderSection(section, report.cases)),
    'ns per packet of one core, median [least .. most] over the rounds; the yardstick always encapsulates (IPIP).',
    ...report.faults.map((fault) => pc.red(`fault: ${fault}`)),
  ];
  return lines.join('\n');
}

const titles: Record<Section, string> = {
  kinds: 'packet kinds, beside the yardstick',
  sizes: 'frame sizes, beside the yardstick',
  tables: 'session tables of several sizes, beside the yardstick',
  features: 'what a feature costs: beside a listener with defaults, L2_DSR',
};

function renderSection(section: Section, cases: readonly Case[]): string[] {
  const own = cases.filter((one) => one.section === section);
  if (own.length === 0) return [];
  const rows = own.map((one) => [
    ...(section === 'features' ? [one.feature] : []),
    one.kind,
    one.flows,
    ...(section === 'sizes' ? [one.frameBytes] : []),
    ...(section === 'tables' ? [one.sessions] : []),
    ...(section === 'features' ? [] : [one.forwarding]),
    spread(one.nsSpread),
    spread(one.baselineSpread),
    one.ratio.toFixed(2),
    one.goal === null ? '' : 'ratio' in one.goal ? one.goal.ratio.toFixed(2) : `${one.goal.ns} ns`,
    one.met === null ? '' : one.met ? pc.green('yes') : pc.red('no'),
  ]);
  const table = new Table({
    head: [
      ...(section === 'features' ? ['feature'] : []),
      'kind',
      'flows',
      ...(section === 'sizes' ? ['bytes'] : []),
      ...(section === 'tables' ? ['table for'] : []),
      ...(section === 'features' ? [] : ['forwarding']),
      'ns',
      section === 'features' ? 'defaults ns' : 'yardstick ns',
      'ratio',
      'goal',
      'met',
    ],
    style: { head: [], border: [], compact: true },
  });
  table.push(...rows);
  return [titles[section], table.toString()];
}

function spread({ median, min, max }: Spread): string {
  return `${median.toFixed(1)} [${min.toFixed(1)} .. ${max.toFixed(1)}]`;
}
