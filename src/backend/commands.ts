import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Ip, parseIp } from '../base/ip.js';
import { BackendError } from './errors.js';
import { type Prefix, parsePrefix } from './prefix.js';

export interface BackendWiring {
  readonly stdout: { write(text: string): unknown };
  /** The error to throw for exit 1, in the words of the command line. */
  readonly failure: (message: string, hint: string, cause?: unknown) => Error;
}

const processWiring: BackendWiring = {
  stdout: process.stdout,
  failure: (message, hint, cause) => new BackendError(message, hint, { cause }),
};

interface AttachFlags {
  readonly interface: string;
  readonly instance?: string;
  readonly mode: 'auto' | 'native' | 'generic';
  readonly from?: readonly Prefix[];
  readonly vip?: readonly Ip[];
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
    .summary('on a backend: take the packets of IPIP forwarding')
    .description(
      'For the hosts behind the load balancers: strips the outer header of IPIP forwarding (v4 in v4, v6 in v6, ' +
        'v4 in v6) as packets come in, by an XDP program that stays when the command ends. Needs root, no agent.',
    );
  registerAttach(backend, wiring);
  registerDetach(backend, wiring);
  registerStatus(backend, wiring);
}

function registerAttach(backend: Command, wiring: BackendWiring): void {
  const command = backend
    .command('attach')
    .summary('strip tunnels on an interface, or change how')
    .description('Attaches the program, or exchanges the one that is there without losing a packet.')
    .requiredOption('--interface <name>', 'where the load balancers send to')
    .addOption(instanceOption())
    .addOption(
      new Option('--mode <mode>', 'auto: native, or generic where the driver cannot')
        .choices(['auto', 'native', 'generic'])
        .default('auto'),
    )
    .option('--from <cidr...>', 'strip only what these load balancers send (default: any)', collect(prefix))
    .option('--vip <address...>', 'strip only what goes to these VIPs (default: any)', collect(address))
    .action(
      run<AttachFlags>(wiring, async (flags, print) => {
        const { attach } = await import('./attach.js');
        const { attachText } = await import('./text.js');
        const { from = [], vip = [], mode } = flags;
        const instance = await instanceOf(flags);
        const result = attach({ interface: flags.interface, instance, mode, from, vips: vip });
        print(result, attachText(result));
      }),
    );
  examples(command, [
    'spillway backend attach --interface eth0',
    'spillway backend attach --interface eth0 --from 203.0.113.11 203.0.113.12 --vip 198.51.100.7',
  ]);
}

function registerDetach(backend: Command, wiring: BackendWiring): void {
  const command = backend
    .command('detach')
    .summary('take the program off')
    .description('Takes the program off at once, and removes its counters. What is tunnelled is lost from then on.')
    .option('--interface <name>', 'where it is attached')
    .addOption(instanceOption())
    .action(
      run<TargetFlags>(wiring, async (flags, print) => {
        if (flags.interface === undefined && flags.instance === undefined) {
          command.error('error: name the --interface or the --instance', { exitCode: 2 });
        }
        const { detach } = await import('./detach.js');
        const { detachText } = await import('./text.js');
        const result = detach(await instanceOf(flags));
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
          throw new BackendError('no decapsulator is attached', 'spillway backend attach --help');
        const failed = instances.flatMap(({ checks }) => checks.filter(({ level }) => level === 'fail'));
        if (failed.length > 0)
          throw new BackendError(`${failed.length} of the checks failed: ${failed.map(({ name }) => name).join(', ')}`);
      }),
    );
  examples(command, ['spillway backend status --vip 198.51.100.7', 'spillway backend status --json']);
}

type Print = (value: unknown, text: string) => void;

function run<Flags>(
  wiring: BackendWiring,
  action: (flags: Flags, print: Print) => Promise<void>,
): (flags: Flags, command: Command) => Promise<void> {
  return async (flags, command) => {
    const { json = false } = command.optsWithGlobals<{ json?: boolean }>();
    const print: Print = (value, text) => wiring.stdout.write(json ? `${JSON.stringify(value, stringify, 2)}\n` : text);
    try {
      await action(flags, print);
    } catch (error) {
      throw failureOf(error, wiring);
    }
  };
}

/** Errors of the kernel and of this room, in words; anything else as it is. */
function failureOf(error: unknown, wiring: BackendWiring): unknown {
  if (error instanceof BackendError) return wiring.failure(error.message, error.hint, error);
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return error;
  const log = 'log' in error && typeof error.log === 'string' ? `\n${error.log.trim()}` : '';
  const hint = error.code === 'EPERM' || error.code === 'EACCES' ? 'Run it as root.' : '';
  return wiring.failure(`${error.syscall}: ${error.message}${log}`, hint, error);
}

/** Counters pass 2^53: as text, like int64 in the mapping of protobuf. */
function stringify(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

async function instanceOf(flags: { readonly interface?: string; readonly instance?: string }): Promise<string> {
  const { defaultInstance } = await import('./pins.js');
  return flags.instance ?? defaultInstance(flags.interface ?? '');
}

function instanceOption(): Option {
  return new Option('--instance <name>', 'name of its pins (default: backend-<interface>)').argParser((text) => {
    if (/^[A-Za-z0-9][A-Za-z0-9:_-]{0,62}$/.test(text)) return text;
    throw new InvalidArgumentError('Wanted: letters, digits, "-", "_" and ":", 63 at most.');
  });
}

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (parsed === null)
    throw new InvalidArgumentError('Wanted: an address, or a prefix without host bits (203.0.113.0/24).');
  return parsed;
}

function address(text: string): Ip {
  const parsed = parseIp(text);
  if (parsed === null) throw new InvalidArgumentError('Wanted: an IPv4 or IPv6 address.');
  return parsed;
}

function collect<T>(parse: (text: string) => T): (text: string, before: readonly T[] | undefined) => readonly T[] {
  return (text, before = []) => [...before, parse(text)];
}

function examples(command: Command, lines: readonly string[]): void {
  command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ ${line}\n`).join('')}`);
}
