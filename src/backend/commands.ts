import { type Command, Option } from 'commander';
import type { Ip } from '../base/ip.js';
import {
  address,
  clamp,
  collect,
  examples,
  instanceOf,
  instanceOption,
  mapping,
  portOrOff,
  prefix,
} from './arguments.js';
import { defaultGuePort } from './defaults.js';
import { registerDoctor } from './doctor/command.js';
import { BackendError } from './errors.js';
import type { PortMapping } from './mapping.js';
import type { Prefix } from './prefix.js';
import { registerReport } from './report/command.js';
import type { Clamp } from './rules.js';
import { type BackendWiring, processWiring, run } from './run.js';

interface AttachFlags {
  readonly interface: string;
  readonly instance?: string;
  readonly mode: 'auto' | 'native' | 'generic';
  readonly from?: readonly Prefix[];
  readonly vip?: readonly Ip[];
  readonly map?: readonly PortMapping[];
  readonly mapExempt?: readonly Prefix[];
  readonly guePort: number | null;
  readonly clampMss: Clamp;
  readonly out?: readonly string[];
}

interface TargetFlags {
  readonly interface?: string;
  readonly instance?: string;
  readonly vip?: readonly Ip[];
}

/**
 * Adds `spillway backend attach | detach | status`. The addon is loaded by the actions, not before.
 * @throws what wiring.failure makes, from the actions; commander's own errors for wrong usage.
 */
export function registerBackendCommands(program: Command, wiring: BackendWiring = processWiring): void {
  if (!program.options.some((option) => option.long === '--json')) program.option('--json', 'print JSON');
  const backend = program
    .command('backend')
    .summary('on a backend: take what the load balancers send')
    .description(
      'For the hosts behind the load balancers: strips the outer headers of IPIP and GUE forwarding as packets come ' +
        "in, maps VIPs' ports to the host's own, counts what each VIP takes and gives, and has clients send segments " +
        'that fit the tunnel. Two BPF programs do it, which stay when the command ends. Needs root, no agent.',
    );
  registerAttach(backend, wiring);
  registerDetach(backend, wiring);
  registerStatus(backend, wiring);
  registerDoctor(backend, wiring);
  registerReport(backend, wiring);
}

function registerAttach(backend: Command, wiring: BackendWiring): void {
  const command = backend
    .command('attach')
    .summary('take traffic on an interface, or change how')
    .description(
      'Attaches the programs, or exchanges those that are there without losing a packet. Options that are left out ' +
        'are off, whatever the attach before said.',
    )
    .requiredOption('--interface <name>', 'where the load balancers send to')
    .addOption(instanceOption())
    .addOption(
      new Option('--mode <mode>', 'auto: native, or generic where the driver cannot')
        .choices(['auto', 'native', 'generic'])
        .default('auto'),
    )
    .option('--from <cidr...>', 'strip only what these load balancers send (default: any)', collect(prefix))
    .option(
      '--vip <address...>',
      'the VIPs: strip only what goes to them (default: strip any, and count those on lo)',
      collect(address),
    )
    .option('--map <mapping...>', 'give packets to PROTOCOL:VIP:PORT to =ADDRESS:PORT of this host', collect(mapping))
    .option('--map-exempt <cidr...>', 'map nothing from or to these: who checks the own ports', collect(prefix))
    .addOption(
      new Option('--gue-port <port>', 'UDP port of GUE, or "off"').argParser(portOrOff).default(defaultGuePort),
    )
    .addOption(
      new Option('--clamp-mss <bytes>', 'segment size that clients are offered: auto fits the tunnel')
        .argParser(clamp)
        .default('auto'),
    )
    .option('--out <name...>', 'where replies leave, if not by --interface (name all)')
    .action(
      run<AttachFlags>(wiring, async (flags, print) => {
        const { attach } = await import('./attach.js');
        const { attachText } = await import('./text.js');
        const result = attach({
          interface: flags.interface,
          instance: instanceOf(flags),
          mode: flags.mode,
          from: flags.from ?? [],
          vips: flags.vip ?? [],
          mappings: flags.map ?? [],
          exempt: flags.mapExempt ?? [],
          guePort: flags.guePort,
          clamp: flags.clampMss,
          out: flags.out ?? [],
        });
        print(result, attachText(result));
      }),
    );
  examples(command, [
    'spillway backend attach --interface eth0',
    'spillway backend attach --interface eth0 --from 203.0.113.11 203.0.113.12 --vip 198.51.100.7',
    'spillway backend attach --interface eth0 --map tcp:198.51.100.7:80=203.0.113.21:8080 --map-exempt 203.0.113.8/29',
  ]);
}

function registerDetach(backend: Command, wiring: BackendWiring): void {
  const command = backend
    .command('detach')
    .summary('take the programs off')
    .description('Takes the programs off at once, and removes their counters. What is tunnelled is lost from then on.')
    .option('--interface <name>', 'where it is attached')
    .addOption(instanceOption())
    .action(
      run<TargetFlags>(wiring, async (flags, print) => {
        if (flags.interface === undefined && flags.instance === undefined) {
          command.error('error: name the --interface or the --instance', { exitCode: 2 });
        }
        const { detach } = await import('./detach.js');
        const { detachText } = await import('./text.js');
        const result = detach(instanceOf(flags));
        print(result, detachText(result));
      }),
    );
  examples(command, ['spillway backend detach --interface eth0']);
}

function registerStatus(backend: Command, wiring: BackendWiring): void {
  const command = backend
    .command('status')
    .summary('what is attached and counted, and what to mend on this host')
    .description(
      'Shows attachments, counters and settings of this host. Exit 1 when nothing is attached or a check fails.',
    )
    .option('--interface <name>', 'of this one only')
    .addOption(instanceOption())
    .option('--vip <address...>', 'check that this host has these VIPs', collect(address))
    .action(
      run<TargetFlags>(wiring, async (flags, print) => {
        const { status } = await import('./status.js');
        const { statusText } = await import('./text.js');
        const { instance = null, interface: only = null, vip = [] } = flags;
        const instances = status({ instance, interface: only, vips: vip });
        print({ instances }, statusText(instances));
        if (instances.every(({ state }) => state !== 'attached'))
          throw new BackendError('nothing is attached', 'spillway backend attach --help');
        const failed = instances.flatMap(({ checks }) => checks.filter(({ level }) => level === 'fail'));
        if (failed.length > 0)
          throw new BackendError(`${failed.length} of the checks failed: ${failed.map(({ name }) => name).join(', ')}`);
      }),
    );
  examples(command, ['spillway backend status --vip 198.51.100.7', 'spillway backend status --json']);
}
