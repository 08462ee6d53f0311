import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseIp } from '../../base/ip.js';
import { examples, instanceOption } from '../arguments.js';
import { BackendError } from '../errors.js';
import { type BackendWiring, run } from '../run.js';

interface ReportFlags {
  readonly to?: readonly string[];
  readonly interval: number;
  readonly instance?: string;
  readonly reporter?: string;
  readonly state: string;
  readonly metrics?: { readonly host: string; readonly port: number };
  readonly once?: boolean;
}

interface TlsFlags {
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsServerName?: string;
}

/** Options of the whole program where it has them: `spillway --tls-ca ...`. */
const tlsOptions: readonly (readonly [flags: string, words: string])[] = [
  ['--tls-ca <file>', "with HOST:PORT: the CA that signed the agents' certificates (PEM)"],
  ['--tls-cert <file>', 'with HOST:PORT: own certificate (PEM)'],
  ['--tls-key <file>', 'with HOST:PORT: its key (PEM)'],
];

export function registerReport(backend: Command, wiring: BackendWiring): void {
  const command = backend
    .command('report')
    .summary('tell the load balancers what VIPs carried; serve metrics')
    .description(
      'Runs until SIGTERM. Tells an agent, every interval, what each VIP took and gave since the report before: each ' +
        'packet is counted once, whoever restarts meanwhile. With several agents, the first that is there is told. ' +
        'What no agent was there for is told when one is back.',
    )
    .option('--to <targets>', 'agents: unix:PATH or HOST:PORT, comma-separated', targets)
    .addOption(
      new Option('--interval <duration>', 'between reports: 500ms, 10s, 5m').argParser(interval).default(10_000, '10s'),
    )
    .addOption(instanceOption().default(undefined, 'every one of this network namespace'))
    .option('--reporter <name>', "names this host to the agents (default: the machine's id)", reporter)
    .option('--state <file>', 'keeps what was reported', '/var/lib/spillway/backend-report.json')
    .option('--metrics <address>', 'serve Prometheus metrics: HOST:PORT, such as 127.0.0.1:9156', endpoint)
    .option('--once', 'one report, and exit: 1 when something is left')
    .action(
      run<ReportFlags>(wiring, async (flags, _print, self) => {
        if (flags.to === undefined && flags.metrics === undefined)
          self.error('error: name agents by --to, or --metrics, or both', { exitCode: 2 });
        const { report } = await import('./run.js');
        const stopping = new AbortController();
        const stop = () => stopping.abort();
        process.once('SIGTERM', stop).once('SIGINT', stop);
        try {
          await report({
            to: flags.to ?? [],
            tls: tlsOf(self),
            intervalMs: flags.interval,
            instance: flags.instance ?? null,
            reporter: flags.reporter ?? null,
            state: flags.state,
            metrics: flags.metrics ?? null,
            once: flags.once ?? false,
            log: (line) => void wiring.stdout.write(`${line}\n`),
            signal: stopping.signal,
          });
        } finally {
          process.off('SIGTERM', stop).off('SIGINT', stop);
        }
      }),
    );
  const inherited = new Set(backend.parent?.options.map(({ long }) => long));
  for (const [flags, words] of tlsOptions) {
    if (!inherited.has(flags.split(' ')[0])) command.option(flags, words);
  }
  examples(command, [
    'spillway backend report --to lb1.example:7443,lb2.example:7443 --tls-ca ca.pem --tls-cert me.pem --tls-key me.key',
    'spillway backend report --metrics 127.0.0.1:9156',
  ]);
}

function tlsOf(command: Command): { ca: string; certificate: string; key: string; serverName?: string } | null {
  const { tlsCa: ca, tlsCert: certificate, tlsKey: key, tlsServerName } = command.optsWithGlobals<TlsFlags>();
  if (ca === undefined && certificate === undefined && key === undefined) return null;
  if (ca === undefined || certificate === undefined || key === undefined)
    throw new BackendError('--tls-ca, --tls-cert and --tls-key belong together', 'Give all three.');
  return { ca, certificate, key, ...(tlsServerName === undefined ? {} : { serverName: tlsServerName }) };
}

function targets(text: string): readonly string[] {
  const all = text.split(',').map((target) => (target.startsWith('/') ? `unix:${target}` : target));
  const isTarget = (target: string) =>
    /^unix:.+/.test(target) || /^[^:]+:\d{1,5}$/.test(target) || /^\[[^\]]+\]:\d{1,5}$/.test(target);
  if (!all.every(isTarget)) throw new InvalidArgumentError('Wanted: unix:PATH or HOST:PORT, separated by commas.');
  return [...new Set(all)];
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

function interval(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,6})(ms|s|m|h)$/.exec(text) ?? [];
  const ms = Number(digits) * (unitsMs[unit] ?? 0);
  if (ms < 100 || ms > unitsMs['h']!)
    throw new InvalidArgumentError('Wanted: a duration from 100ms to 1h, such as 10s.');
  return ms;
}

function reporter(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what the agents refuse
  if (text === '' || text.length > 128 || /[\u0000-\u001f\u007f]/.test(text))
    throw new InvalidArgumentError('Wanted: 1 to 128 characters, none of them a control character.');
  return text;
}

function endpoint(text: string): { readonly host: string; readonly port: number } {
  const [, v6, v4 = '', digits = ''] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = parseIp(v6 ?? v4);
  if (host === null || Number(digits) > 65535)
    throw new InvalidArgumentError('Wanted: ADDRESS:PORT, such as 127.0.0.1:9156.');
  return { host, port: Number(digits) };
}
