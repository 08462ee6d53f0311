/**
 * CPU share of an agent that checks many backends: TCP connect to listeners on loopback addresses of their own, in a
 * process of their own.
 *
 * Usage: node dist/test/bench/health.js [--targets 2000] [--interval MS] [--seconds 20] [--kind tcp|http] [--json]
 */
import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Prober } from '../../src/dataplane/addon.js';
import { systemClock } from '../../src/health/clock.js';
import { createHealthEngine } from '../../src/health/engine.js';
import { nodeTls } from '../../src/health/tls.js';
import type { CheckTarget } from '../../src/health/types.js';

const port = 18080;

/** 127.1.0.1 and up: an address for each target, as backends have. */
function addressOf(index: number): string {
  return `127.1.${index >> 8}.${index & 255}`;
}

function serve(): void {
  const server = createServer((_request, response) => response.end('well\n'));
  server.listen({ host: '0.0.0.0', port, backlog: 4096 }, () => process.send?.('ready'));
  process.on('disconnect', () => process.exit());
}

function targets(count: number, intervalMs: number, kind: string): CheckTarget[] {
  const expectedCodes = [[200, 299]] as const;
  const probe =
    kind === 'http'
      ? ({ kind, method: 'GET', path: '/', host: '', expectedCodes, tls: false } as const)
      : ({ kind: 'tcp' } as const);
  const check = { probe, port, intervalMs, timeoutMs: 1000, rise: 3, fall: 3, target: 'BACKEND_ADDRESS' } as const;
  return Array.from({ length: count }, (_, i) => ({ key: `t${i}`, check, address: addressOf(i + 1), port, mark: 0 }));
}

async function measure(): Promise<void> {
  const { values } = parseArgs({
    options: {
      targets: { type: 'string', default: '2000' },
      interval: { type: 'string', default: '1000' },
      seconds: { type: 'string', default: '20' },
      kind: { type: 'string', default: 'tcp' },
      json: { type: 'boolean', default: false },
    },
  });
  const server = fork(fileURLToPath(import.meta.url), ['--serve']);
  await new Promise((resolve) => server.once('message', resolve));
  const engine = createHealthEngine({
    prober: (onResults) => new Prober(onResults),
    tls: nodeTls(systemClock),
    clock: systemClock,
    random: Math.random,
    onChanges: () => {},
  });
  engine.setTargets(targets(Number(values.targets), Number(values.interval), values.kind));
  await delay(3000);

  const before = engine.counters();
  const cpu = process.cpuUsage();
  const startedMs = systemClock.monotonicMs();
  await delay(Number(values.seconds) * 1000);
  const used = process.cpuUsage(cpu);
  const seconds = (systemClock.monotonicMs() - startedMs) / 1000;
  const after = engine.counters();
  const latencies = engine.records().map(({ lastCheckUs }) => lastCheckUs ?? Number.POSITIVE_INFINITY);
  latencies.sort((a, b) => a - b);

  const checks = after.passed + after.failed - before.passed - before.failed;
  const result = {
    kind: values.kind,
    targets: after.targets,
    intervalMs: Number(values.interval),
    seconds: round(seconds),
    checksPerSecond: round(checks / seconds),
    healthy: engine.records().filter(({ state }) => state === 'healthy').length,
    failed: after.failed - before.failed,
    localErrors: after.localErrors,
    problems: engine.problems(),
    cpuPercentOfOneCore: round((used.user + used.system) / seconds / 10_000),
    cpuUserPercent: round(used.user / seconds / 10_000),
    cpuSystemPercent: round(used.system / seconds / 10_000),
    cpuUsPerCheck: round((used.user + used.system) / checks),
    latencyUsMedian: latencies[latencies.length >> 1],
    latencyUsP99: latencies[Math.floor(latencies.length * 0.99)],
    residentMiB: round(process.memoryUsage().rss / 2 ** 20),
  };
  engine.close();
  server.disconnect();
  if (values.json) console.log(JSON.stringify(result, null, 2));
  else for (const [name, value] of Object.entries(result)) console.log(`${name.padEnd(20)} ${value}`);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

if (process.argv[2] === '--serve') serve();
else await measure();
