import { Command, InvalidArgumentError } from 'commander';
import { type Kind, kinds } from './kinds.js';

/** What a run is made of. */
export const SECTIONS = ['kinds', 'sizes', 'tables', 'features'] as const;
export type Section = (typeof SECTIONS)[number];

/** How the load balancer under test reaches its backends; the yardstick always encapsulates. */
export const FORWARDINGS = ['l2', 'ipip', 'gue'] as const;
export type Forwarding = (typeof FORWARDINGS)[number];

export interface Options {
  readonly json: boolean;
  readonly sections: readonly Section[];
  /** Of `features`: those whose name holds this. */
  readonly feature: string;
  readonly kinds: readonly Kind[];
  readonly flows: readonly number[];
  readonly forwarding: readonly Forwarding[];
  /** Live sessions that the table is sized for: it holds them at a fill of 80 % or less. */
  readonly sessions: number;
  readonly rounds: number;
  readonly packetsPerRound: number;
  /** Core that the packets run on. */
  readonly cpu: number;
  readonly lbObject: string | null;
}

export function count(text: string): number {
  const match = /^(\d+)([km]?)$/i.exec(text);
  const unit = { '': 1, k: 1_000, m: 1_000_000 }[match?.[2]?.toLowerCase() ?? ''] ?? 1;
  const value = Number(match?.[1]) * unit;
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError(`"${text}" is no number above 0: write 500, 1k or 1M.`);
  }
  return value;
}

export function listOf<T extends string>(allowed: readonly T[]): (text: string) => T[] {
  return (text) =>
    text.split(',').map((word) => {
      const found = allowed.find((one) => one === word);
      if (found === undefined) throw new InvalidArgumentError(`"${word}" is none of ${allowed.join(', ')}.`);
      return found;
    });
}

export function flowCounts(text: string): number[] {
  return text.split(',').map((word) => {
    const flows = count(word);
    if (flows > 1 << 24) throw new InvalidArgumentError(`${word} flows: at most 16777216 can be told apart.`);
    return flows;
  });
}

/** Exits with status 2 and a message on wrong usage, 0 after --help. */
export function parseOptions(argv: readonly string[]): Options {
  const command = new Command('npm run bench -- datapath')
    .description(
      'Nanoseconds per packet of the XDP load balancer beside a yardstick of the classic design, in one run.',
    )
    .option('--json', 'print an object with all figures instead of the table', false)
    .option('--quick', 'fewer and shorter rounds (5 of 100k packets): for a look, not for a record', false)
    .option('--only <list>', `parts of the run: ${SECTIONS.join(',')}`, listOf(SECTIONS))
    .option('--feature <word>', 'of the features, those whose name holds this word')
    .option('--kinds <list>', `packet kinds: ${kinds.join(',')}`, listOf(kinds))
    .option('--flows <list>', 'numbers of flows (default 1,1k,100k,1M)', flowCounts)
    .option('--forwarding <list>', `forwarding modes: ${FORWARDINGS.join(',')}`, listOf(FORWARDINGS))
    .option('--sessions <n>', 'live sessions that the table is sized for (default 1M)', count)
    .option('--rounds <n>', 'rounds a case (default 21)', count)
    .option('--packets <n>', 'packets a round (default 250k)', count)
    .option('--cpu <n>', 'core that the packets run on (default 0)', (text) => (text === '0' ? 0 : count(text)))
    .option('--object <file>', "measure this object file instead of the build's lb.bpf.o")
    .addHelpText(
      'after',
      '\nExamples:\n  npm run bench -- datapath --quick --flows 1k\n  npm run bench -- datapath --only features --feature access\n  npm run bench -- datapath --json >bench.json',
    )
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse([...argv], { from: 'user' });
  const given = command.opts<Partial<Omit<Options, 'packetsPerRound' | 'lbObject'>> & Given>();
  return {
    json: given.json ?? false,
    sections: given.only ?? SECTIONS,
    feature: given.feature ?? '',
    kinds: given.kinds ?? kinds,
    flows: given.flows ?? [1, 1_000, 100_000, 1_000_000],
    forwarding: given.forwarding ?? FORWARDINGS,
    sessions: given.sessions ?? 1_000_000,
    rounds: given.rounds ?? (given.quick ? 5 : 21),
    packetsPerRound: given.packets ?? (given.quick ? 100_000 : 250_000),
    cpu: given.cpu ?? 0,
    lbObject: given.object ?? null,
  };
}

interface Given {
  readonly quick: boolean;
  readonly only?: readonly Section[];
  readonly packets?: number;
  readonly object?: string;
}
