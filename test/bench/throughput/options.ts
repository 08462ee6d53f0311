import { Command } from 'commander';
import { count, FORWARDINGS, type Forwarding, flowCounts, listOf } from '../options.js';

export const KINDS = ['tcp4-ack', 'tcp6-ack', 'udp4', 'udp6'] as const;
export type Kind = (typeof KINDS)[number];

export interface Options {
  readonly json: boolean;
  readonly kinds: readonly Kind[];
  readonly flows: readonly number[];
  readonly threads: readonly number[];
  readonly forwarding: readonly Forwarding[];
  readonly sessions: number;
  readonly rounds: number;
  /** Of each thread in each round. */
  readonly packets: number;
  readonly lbObject: string | null;
}

interface Given extends Partial<Omit<Options, 'lbObject'>> {
  readonly quick?: boolean;
  readonly object?: string;
}

/** Exits with status 2 and a message on wrong usage, 0 after --help. */
export function parseOptions(argv: readonly string[]): Options {
  const command = new Command('npm run bench -- throughput')
    .description(
      'Packets/s through the load balancer on a veth pair, beside the yardstick and a plain drop, in one run.',
    )
    .option('--json', 'print an object with all figures instead of the table')
    .option('--quick', 'fewer and shorter rounds (2 of 200k packets): for a look, not for a record')
    .option('--kinds <list>', `packet kinds: ${KINDS.join(',')} (default tcp4-ack)`, listOf(KINDS))
    .option('--flows <list>', 'numbers of flows (default 1,1k,100k)', flowCounts)
    .option('--threads <list>', 'numbers of sending threads, one a core (default 1,2)', flowCounts)
    .option('--forwarding <list>', `forwarding modes: ${FORWARDINGS.join(',')}`, listOf(FORWARDINGS))
    .option('--sessions <n>', 'live sessions that the table is sized for (default 1M)', count)
    .option('--rounds <n>', 'rounds a case (default 7)', count)
    .option('--packets <n>', 'packets of each thread a round (default 1M)', count)
    .option('--object <file>', "measure this object file instead of the build's lb.bpf.o")
    .addHelpText('after', '\nExample:\n  npm run bench -- throughput --flows 100k --threads 1 --forwarding ipip')
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse([...argv], { from: 'user' });
  const given = command.opts<Given>();
  return {
    json: given.json ?? false,
    kinds: given.kinds ?? ['tcp4-ack'],
    flows: given.flows ?? [1, 1_000, 100_000],
    threads: given.threads ?? [1, 2],
    forwarding: given.forwarding ?? FORWARDINGS,
    sessions: given.sessions ?? 1_000_000,
    rounds: given.rounds ?? (given.quick ? 2 : 7),
    packets: given.packets ?? (given.quick ? 200_000 : 1_000_000),
    lbObject: given.object ?? null,
  };
}
