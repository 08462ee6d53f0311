#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { destination, pino } from 'pino';
import { startAgent } from './agent/agent.js';
import { detachMetered } from './agent/metering.js';
import { hasListener } from './api/unix_socket.js';
import { InvalidError } from './base/errors.js';
import type { Logger } from './base/log.js';
import { prettyLine } from './base/pretty-log.js';
import { type AgentConfig, loadAgentConfig } from './config/agent.js';

const examples = `
Examples:
  spillwayd --config /etc/spillway/spillwayd.yaml
  spillwayd --config FILE --check     only says whether the file is good
  spillwayd --config FILE --detach    takes the program off the interfaces and removes the pins, then ends

On SIGTERM and SIGINT the agent ends and forwarding goes on: the program and its maps are pinned.`;

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
    const interfaces = await detachMetered(config, logOf(config));
    process.stdout.write(interfaces.length > 0 ? `detached from ${interfaces.join(', ')}\n` : 'nothing was attached\n');
    return 0;
  }
  return run(config);
}

async function run(config: AgentConfig): Promise<number> {
  const log = logOf(config);
  const agent = await startAgent(config, log);
  const signalled = new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name));
  });
  const why = await Promise.race([signalled, agent.detached.then(() => 'detach')]);
  log.info({ why }, why === 'detach' ? 'ending, detached' : 'ending; forwarding goes on');
  await agent.stop({ detach: false });
  return 0;
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
