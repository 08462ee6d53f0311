#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { destination, pino } from 'pino';
import { startAgent } from './agent/agent.js';
import { withdrawRoutes } from './agent/cluster-open.js';
import { detachMetered } from './agent/metering.js';
import { openSystemd } from './agent/systemd.js';
import { hasListener } from './api/unix_socket.js';
import { InvalidError } from './base/errors.js';
import type { Logger } from './base/log.js';
import { prettyLine } from './base/pretty-log.js';
import { type AgentConfig, loadAgentConfig } from './config/agent.js';
import { notifySystemd } from './dataplane/addon.js';
import { systemClock } from './health/clock.js';

const examples = `
Examples:
  spillwayd --config /etc/spillway/spillwayd.yaml
  spillwayd --config FILE --check     only says whether the file is good
  spillwayd --config FILE --detach    takes the program off the interfaces and removes the pins, then ends

On SIGTERM and SIGINT the agent ends and forwarding goes on: the program and its maps are pinned, and the routes stay.
With node.onTermination drain it withdraws its routes first and waits until the traffic has moved; a second signal ends
the waiting.`;

async function main(argv: readonly string[]): Promise<number> {
  const program = new Command('spillwayd')
    .description('The agent of a Spillway node: drives the data plane, checks health, serves gRPC and metrics.')
    .requiredOption('--config <file>', 'configuration of the agent (YAML)')
    .option('--check', 'validate the configuration and end')
    .option('--detach', 'take this instance off its interfaces and end: traffic to its VIPs on this node stops')
    .addHelpText('after', examples)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(`${text}run spillwayd --help for usage\n`) });
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  const flags = program.opts<{ config: string; check?: boolean; detach?: boolean }>();
  const config = loadAgentConfig(flags.config);
  if (flags.check) {
    process.stdout.write(`${flags.config}: good\n`);
    return 0;
  }
  if (process.getuid?.() !== 0) throw new Error('spillwayd must run as root: BPF, XDP and netlink need it');
  if (flags.detach) {
    const { unix } = config.listen;
    if (unix !== null && (await hasListener(unix))) {
      throw new Error(`an agent listens on ${unix}, and would attach again: run spillway detach, or stop it first`);
    }
    const log = logOf(config);
    await withdrawRoutes(config, log);
    const interfaces = await detachMetered(config, log);
    process.stdout.write(interfaces.length > 0 ? `detached from ${interfaces.join(', ')}\n` : 'nothing was attached\n');
    return 0;
  }
  return run(config);
}

async function run(config: AgentConfig): Promise<number> {
  const log = logOf(config);
  const systemd = openSystemd(process.env, { clock: systemClock, pid: process.pid, send: notifySystemd });
  const agent = await startAgent(config, log);
  const showSummary = (): void => systemd.status(agent.summary());
  showSummary();
  const unwatch = agent.watch(showSummary);
  systemd.ready();
  const signals = new Signals();
  const why = await Promise.race([signals.first, agent.detached.then(() => 'detach')]);
  const { onTermination, drainTimeoutMs } = config.node;
  const drains = why !== 'detach' && onTermination === 'drain';
  systemd.stopping(STOP_MS + (drains ? drainTimeoutMs : 0));
  if (drains) {
    log.info({ why, drainTimeoutMs }, 'withdraws, then ends when the traffic has moved; a second signal ends it now');
    const moved = await agent.drain(signals.second);
    log.info({ moved }, moved ? 'the traffic has moved: ending' : 'ending; traffic still comes');
  } else {
    log.info({ why }, why === 'detach' ? 'ending, detached' : 'ending; forwarding goes on');
  }
  unwatch();
  systemd.close();
  await agent.stop({ detach: false });
  return 0;
}

/** What an agent takes to stop, with room to spare. */
const STOP_MS = 10_000;

/** The first asks for the end, the second for no waiting, a third for nothing at all. */
class Signals {
  readonly first: Promise<string>;
  readonly #second = new AbortController();
  #count = 0;

  constructor() {
    this.first = new Promise((resolve) => {
      for (const name of ['SIGTERM', 'SIGINT'] as const) {
        process.on(name, () => {
          this.#count++;
          if (this.#count === 1) resolve(name);
          else if (this.#count === 2) this.#second.abort();
          else process.exit(1);
        });
      }
    });
  }

  get second(): AbortSignal {
    return this.#second.signal;
  }
}

function logOf({ log, instance }: AgentConfig): Logger {
  return pino(
    { level: log.level, base: { instance } },
    log.pretty
      ? { write: (line) => void process.stderr.write(prettyLine(line)) }
      : destination({ dest: 2, sync: true }),
  );
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  const text = error instanceof InvalidError ? error.message : ((error as Error).message ?? String(error));
  process.stderr.write(`spillwayd: ${text}\n`);
  process.exit(1);
}
