import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Ip } from '../../base/ip.js';
import { address, collect, examples, instanceOption } from '../arguments.js';
import { BackendError } from '../errors.js';
import { type BackendWiring, run } from '../run.js';

interface DoctorFlags {
  readonly interface?: string;
  readonly instance?: string;
  readonly vip?: readonly Ip[];
  readonly lb?: readonly Ip[];
  readonly l2Dsr?: boolean;
  readonly watch: number;
}

export function registerDoctor(backend: Command, wiring: BackendWiring): void {
  const command = backend
    .command('doctor')
    .summary('what is wrong on this host, what comes of it, and the command that mends it')
    .description(
      'Checks all that traffic of the load balancers needs on this host: VIPs, ARP, reverse path filter, MTU and ' +
        'segment size, IPv6, forwarding, routes, ports, and whether packets come and what becomes of them. Changes ' +
        'nothing. Exit 1 when something is wrong; a warning alone is not.',
    )
    .option('--interface <name>', 'that the load balancers send to (default: where a program is attached)')
    .addOption(instanceOption())
    .option('--vip <address...>', 'VIPs that this host should take', collect(address))
    .option('--lb <address...>', 'addresses that load balancers send from: check the way to them too', collect(address))
    .option('--l2-dsr', 'packets come by L2_DSR alone: no program is needed')
    .addOption(new Option('--watch <seconds>', 'how long to look for packets').argParser(seconds).default(1000, '1'))
    .action(
      run<DoctorFlags>(wiring, async (flags, print) => {
        const { diagnose } = await import('./doctor.js');
        const { diagnosisText } = await import('../text.js');
        const diagnosis = await diagnose({
          interface: flags.interface ?? null,
          instance: flags.instance ?? null,
          vips: flags.vip ?? [],
          loadBalancers: flags.lb ?? [],
          dsr: flags.l2Dsr ?? false,
          watchMs: flags.watch,
        });
        print(diagnosis, diagnosisText(diagnosis));
        const { problems, checks } = diagnosis;
        if (problems === 0) return;
        const names = checks.filter(({ level }) => level === 'fail').map(({ name }) => name);
        throw new BackendError(
          `${problems} ${problems === 1 ? 'problem' : 'problems'}: ${[...new Set(names)].join(', ')}`,
          'Each is told above, with the command that mends it.',
        );
      }),
    );
  examples(command, [
    'spillway backend doctor',
    'spillway backend doctor --interface eth0 --vip 198.51.100.7 --lb 203.0.113.11 203.0.113.12',
  ]);
}

/** In milliseconds. */
function seconds(text: string): number {
  const value = /^\d{1,3}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 600)) throw new InvalidArgumentError('Wanted: seconds from 0 to 600.');
  return value * 1000;
}
