import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { connect, type SpillwayClient } from '../../api/client.js';
import { type MetricsServer, startMetricsServer } from '../../metrics/server.js';
import { BackendError } from '../errors.js';
import { LedgerFile } from './file.js';
import { createRegistry } from './metrics.js';
import { Reporter, type Target } from './reporter.js';
import { UsageSource } from './source.js';

export interface ReportOptions {
  readonly to: readonly string[];
  readonly tls: {
    readonly ca: string;
    readonly certificate: string;
    readonly key: string;
    readonly serverName?: string;
  } | null;
  readonly intervalMs: number;
  /** Null: every one of this network namespace. */
  readonly instance: string | null;
  /** Null: this host's machine id. */
  readonly reporter: string | null;
  readonly state: string;
  readonly metrics: { readonly host: string; readonly port: number } | null;
  /** One turn, and no more. */
  readonly once: boolean;
  readonly log: (line: string) => void;
  /** Ends the run, after a last report. */
  readonly signal: AbortSignal;
}

/** A target that is not there must not hold up the next. */
const readyMs = 2000;
const answerMs = 5000;

/**
 * Reports until the signal.
 * @throws BackendError when it cannot begin; with `once` also when something is left to report.
 */
export async function report(options: ReportOptions): Promise<void> {
  const source = new UsageSource(options.instance);
  const clients = options.to.map((target) => open(target, options));
  const file = options.to.length === 0 ? null : LedgerFile.open(options.state);
  let metrics: MetricsServer | null = null;
  try {
    const reporter = file === null ? null : makeReporter(options, { source, clients, file });
    metrics = options.metrics === null ? null : await serveMetrics(options, { source, reporter });
    const nothing = source.instances().length === 0 ? nothingAttached(options.instance) : null;
    if (nothing !== null && !options.once) options.log(`${nothing.message} yet`);
    if (options.once) {
      if (reporter !== null && !(await reporter.turn()))
        throw new BackendError('not everything was reported', 'It is kept, and reported with what comes next.');
      if (nothing !== null) throw nothing;
      return;
    }
    await turns(reporter, options);
  } finally {
    await metrics?.close();
    for (const client of clients) client.close();
    source.close();
    file?.close();
  }
}

function nothingAttached(instance: string | null): BackendError {
  const which = instance === null ? '' : ` as instance ${instance}`;
  return new BackendError(`nothing is attached here${which}`, 'spillway backend status says what is.');
}

async function turns(reporter: Reporter | null, { intervalMs, signal, log }: ReportOptions): Promise<void> {
  for (;;) {
    const startedMs = performance.now();
    if (reporter !== null) await turn(reporter, log);
    if (signal.aborted) return;
    // A signal within the pause ends it, and what flowed until then is still told.
    await pause(Math.max(0, intervalMs - (performance.now() - startedMs)), signal);
  }
}

async function turn(reporter: Reporter, log: (line: string) => void): Promise<void> {
  try {
    await reporter.turn();
  } catch (error) {
    // Of the disk, or of a kernel that ran out of memory: nothing was taken from the counters.
    log(`this turn is left out: ${(error as Error).message}`);
  }
}

function makeReporter(
  { reporter, to, log }: ReportOptions,
  { source, clients, file }: { source: UsageSource; clients: readonly SpillwayClient[]; file: LedgerFile },
): Reporter {
  const name = reporter ?? machineId();
  const made = new Reporter({
    reporter: name,
    hostname: hostname(),
    targets: clients.map(targetOf),
    read: () => source.read(),
    store: file,
    nowMs: Date.now,
    log,
  });
  log(`reports as ${name} to ${to.join(', or else ')}`);
  return made;
}

function targetOf(client: SpillwayClient): Target {
  return {
    name: client.target,
    ready: () => client.ready(readyMs),
    report: (request) => client.metering.report(request, { timeoutMs: answerMs }),
  };
}

function open(target: string, { tls }: ReportOptions): SpillwayClient {
  try {
    return connect(target, tls === null || target.startsWith('unix:') ? {} : { tls });
  } catch (error) {
    throw new BackendError(
      `cannot connect to ${target}: ${(error as Error).message}`,
      'Check --to and the TLS files.',
      {
        cause: error,
      },
    );
  }
}

function machineId(): string {
  const file = '/etc/machine-id';
  const id = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  if (id === '') throw new BackendError(`${file} names no machine`, 'Name this host by --reporter.');
  return id;
}

async function serveMetrics(
  { metrics, log }: ReportOptions,
  { source, reporter }: { source: UsageSource; reporter: Reporter | null },
): Promise<MetricsServer> {
  const registry = createRegistry({ instances: () => source.instances(), reporter });
  const { host, port } = metrics!;
  try {
    const server = await startMetricsServer({
      host,
      port,
      async *scrape() {
        yield await registry.metrics();
      },
      notReady: () => (source.instances().length === 0 ? ['nothing is attached'] : []),
      onError: (error) => log(`a scrape failed: ${(error as Error).message}`),
    });
    log(`metrics on http://${server.host.includes(':') ? `[${server.host}]` : server.host}:${server.port}/metrics`);
    return server;
  } catch (error) {
    throw new BackendError(
      `cannot serve metrics on ${host}:${port}: ${(error as Error).message}`,
      'Choose another --metrics.',
      {
        cause: error,
      },
    );
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
