import { Command } from 'commander';
import { count, flowCounts, listOf } from '../options.js';

export const BALANCERS = [
  'drop',
  'ipvs-dr-rr',
  'ipvs-dr-mh',
  'ipvs-tun-rr',
  'ipvs-tun-mh',
  'spillway-l2',
  'spillway-ipip',
  'spillway-gue',
] as const;
export type Balancer = (typeof BALANCERS)[number];

export const GENERATORS = ['live', 'pktgen'] as const;
export type Generator = (typeof GENERATORS)[number];

export interface Options {
  readonly json: boolean;
  readonly balancers: readonly Balancer[];
  readonly generators: readonly Generator[];
  readonly flows: readonly number[];
  readonly rounds: number;
  /** Each measurement is made to last about so long. */
  readonly milliseconds: number;
  /** IPVS's hash table has 2^n buckets. */
  readonly connTabBits: number;
  readonly kernel: string;
  /** A second is 10^9 instructions of the machine. */
  readonly instructions: boolean;
}

interface Given extends Partial<Omit<Options, 'milliseconds'>> {
  readonly quick?: boolean;
  readonly ms?: number;
}

/** Exits with status 2 and a message on wrong usage, 0 after --help. */
export function parseOptions(argv: readonly string[]): Options {
  const command = new Command('npm run bench -- ipvs')
    .description("Packets/s of IPVS and of Spillway on Debian's stock kernel, in one emulated machine (QEMU, no KVM).")
    .option('--json', 'print an object with all figures instead of the table')
    .option('--quick', 'fewer and shorter rounds (1 of 200 ms): for a look, not for a record')
    .option('--balancers <list>', `of ${BALANCERS.join(',')}`, listOf(BALANCERS))
    .option('--generators <list>', `of ${GENERATORS.join(',')}`, listOf(GENERATORS))
    .option('--flows <list>', 'numbers of flows (default 1,100k)', flowCounts)
    .option('--rounds <n>', 'rounds, of which the median counts (default 5)', count)
    .option('--ms <n>', 'each measurement lasts about so long (default 500)', count)
    .option(
      '--conn-tab-bits <n>',
      "IPVS's hash table has 2^n buckets, 8 to 20 (default 20; the kernel's own is 12)",
      count,
    )
    .option('--instructions', 'count instructions instead of time: slower, and the same on a busy host')
    .option('--kernel <which>', 'as for scripts/vm (default 6.1)')
    .addHelpText('after', '\nExample:\n  npm run bench -- ipvs --generators live --flows 100k')
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse([...argv], { from: 'user' });
  const given = command.opts<Given>();
  return {
    json: given.json ?? false,
    balancers: given.balancers ?? BALANCERS,
    generators: given.generators ?? GENERATORS,
    flows: given.flows ?? [1, 100_000],
    rounds: given.rounds ?? (given.quick ? 1 : 5),
    milliseconds: given.ms ?? (given.quick ? 200 : 500),
    connTabBits: given.connTabBits ?? 20,
    kernel: given.kernel ?? '6.1',
    instructions: given.instructions ?? false,
  };
}
