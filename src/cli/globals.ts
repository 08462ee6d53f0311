import { type Command, InvalidArgumentError, Option } from 'commander';
import { UsageError } from './errors.js';
import { parseDuration } from './format/time.js';

export const defaultSocket = 'unix:/run/spillway/agent.sock';
const defaultTimeoutMs = 30_000;

export interface GlobalOptions {
  readonly socket: string;
  readonly json: boolean;
  readonly timeoutMs: number;
  /** False: timeoutMs is the default. */
  readonly timeoutGiven: boolean;
  readonly tls: {
    readonly ca: string;
    readonly certificate: string;
    readonly key: string;
    readonly serverName?: string;
  } | null;
}

/** Understood before and after the command's name. */
export function addGlobalOptions(program: Command): void {
  program
    .addOption(
      new Option('--socket <target>', 'the agent: unix:PATH or HOST:PORT')
        .env('SPILLWAY_SOCKET')
        .default(defaultSocket),
    )
    .option('--tls-ca <file>', "with HOST:PORT: the CA that signed the agent's certificate (PEM)")
    .option('--tls-cert <file>', 'with HOST:PORT: own certificate (PEM)')
    .option('--tls-key <file>', 'with HOST:PORT: its key (PEM)')
    .option('--tls-server-name <name>', "name to find in the agent's certificate, where it is not HOST")
    .option('--json', 'print JSON: the mapping of protobuf, with every field there')
    .option('--timeout <duration>', 'longest wait for an answer, for example 500ms, 30s, 5m (default: 30s)', duration);
}

export function globalsOf(command: Command): GlobalOptions {
  const options = command.optsWithGlobals<{
    socket: string;
    json?: boolean;
    timeout?: number;
    tlsCa?: string;
    tlsCert?: string;
    tlsKey?: string;
    tlsServerName?: string;
  }>();
  const { tlsCa: ca, tlsCert: certificate, tlsKey: key, tlsServerName: serverName } = options;
  const files = [ca, certificate, key].filter((file) => file !== undefined);
  if (files.length !== 0 && files.length !== 3) {
    throw new UsageError('--tls-ca, --tls-cert and --tls-key belong together: give all three');
  }
  if (serverName !== undefined && files.length === 0) {
    throw new UsageError('--tls-server-name needs --tls-ca, --tls-cert and --tls-key');
  }
  const tls = ca !== undefined && certificate !== undefined && key !== undefined ? { ca, certificate, key } : null;
  return {
    socket: targetOf(options.socket),
    json: options.json ?? false,
    timeoutMs: options.timeout ?? defaultTimeoutMs,
    timeoutGiven: options.timeout !== undefined,
    tls: tls !== null && serverName !== undefined ? { ...tls, serverName } : tls,
  };
}

/** A bare path is meant as a socket. */
function targetOf(socket: string): string {
  return socket.startsWith('/') || socket.startsWith('./') ? `unix:${socket}` : socket;
}

/** For options that take a duration; milliseconds. */
export function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === null || ms <= 0) throw new InvalidArgumentError('Wanted: a duration such as 500ms, 30s, 5m or 1h.');
  return ms;
}

/** For options that take a whole number within bounds, both included. */
export function integer(bounds: { min: number; max: number }): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= bounds.min && value <= bounds.max)) {
      throw new InvalidArgumentError(`Wanted: a whole number from ${bounds.min} to ${bounds.max}.`);
    }
    return value;
  };
}
