import { readFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import grpc from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { InvalidError, UnavailableError } from '../base/errors.js';
import type { AgentConfig, TcpListen } from '../config/agent.js';
import { captureService } from './capture_service.js';
import { clusterService } from './cluster_service.js';
import { configService } from './config_service.js';
import { type CallHooks, type CallReport, implement } from './implement.js';
import { meteringService } from './metering_service.js';
import type { AgentPort } from './port.js';
import { addReflection } from './reflection.js';
import { sessionService } from './session_service.js';
import { nodeService, statusService } from './status_service.js';
import { prepareSocket } from './unix_socket.js';

export type { CallReport } from './implement.js';

export interface ServerOptions {
  readonly agent: AgentPort;
  readonly listen: AgentConfig['listen'];
  /** After each call, streams included: for metrics. */
  readonly onCall?: (report: CallReport) => void;
  /** An error that is a fault of the agent itself: for the log. */
  readonly onFault?: CallHooks['onFault'];
}

export interface ApiServer {
  /** Addresses in force, as a client's target: "unix:/run/spillway/agent.sock", "0.0.0.0:9154". */
  readonly targets: readonly string[];
  /** What gRPC health says of the server and of each service; NOT_SERVING until it is first called with true. */
  setServing(serving: boolean): void;
  /** Ends streams, lets calls finish, and after `deadlineMs` cuts what is left. */
  stop(options: { deadlineMs: number }): Promise<void>;
}

/** A document with 65,535 backends is about 5 MB. */
const maxMessageBytes = 64 * 1024 * 1024;

const services = [
  'ConfigService',
  'StatusService',
  'SessionService',
  'MeteringService',
  'NodeService',
  'CaptureService',
  'ClusterService',
] as const;

/**
 * Listens on the unix socket (mode 0660) and on TCP with mutual TLS, as configured.
 * @throws UnavailableError when an address is taken; InvalidError when a certificate cannot be used.
 */
export async function createServer({ agent, listen, onCall, onFault }: ServerOptions): Promise<ApiServer> {
  // What it would print reaches the caller as an error.
  grpc.setLogVerbosity(grpc.logVerbosity.NONE);
  const stopping = new AbortController();
  const hooks = { onCall: onCall ?? (() => {}), onFault: onFault ?? (() => {}), stopping: stopping.signal };
  const server = new grpc.Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': -1,
  });
  implement(server, 'ConfigService', { handlers: configService(agent.config), hooks });
  implement(server, 'StatusService', { handlers: statusService(agent.status), hooks });
  implement(server, 'SessionService', { handlers: sessionService(agent.sessions), hooks });
  implement(server, 'MeteringService', { handlers: meteringService(agent.metering), hooks });
  implement(server, 'NodeService', { handlers: nodeService(agent.node), hooks });
  implement(server, 'CaptureService', { handlers: captureService(agent.capture), hooks });
  implement(server, 'ClusterService', { handlers: clusterService(agent.cluster), hooks });
  const health = addHealth(server);
  addReflection(server, services);

  const targets: string[] = [];
  try {
    if (listen.tcp !== null) targets.push(await listenTcp(server, listen.tcp));
    if (listen.unix !== null) targets.push(await listenUnix(server, listen.unix));
  } catch (error) {
    server.forceShutdown();
    throw error;
  }
  return {
    targets,
    setServing: (serving) => health.set(serving),
    stop: async ({ deadlineMs }) => {
      health.set(false);
      stopping.abort();
      await shutDown(server, deadlineMs);
    },
  };
}

function addHealth(server: grpc.Server): { set(serving: boolean): void } {
  const names = ['', ...services.map((name) => `spillway.v1.${name}`)];
  const health = new HealthImplementation(Object.fromEntries(names.map((name) => [name, 'NOT_SERVING' as const])));
  health.addToServer(server);
  return {
    set: (serving) => {
      for (const name of names) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
    },
  };
}

async function listenUnix(server: grpc.Server, path: string): Promise<string> {
  await prepareSocket(path);
  await bind(server, `unix:${path}`, grpc.ServerCredentials.createInsecure());
  await chmod(path, 0o660);
  return `unix:${path}`;
}

async function listenTcp(server: grpc.Server, { host, port, certificate, key, clientCa }: TcpListen): Promise<string> {
  const cert = readPem('listen.tcp.certificate', certificate);
  const ca = readPem('listen.tcp.clientCa', clientCa);
  const privateKey = readPem('listen.tcp.key', key);
  checkPair({ ca, cert, key: privateKey });
  const pair = { private_key: privateKey, cert_chain: cert };
  const credentials = grpc.ServerCredentials.createSsl(ca, [pair], true);
  const name = host.includes(':') ? `[${host}]` : host;
  return `${name}:${await bind(server, `${name}:${port}`, credentials)}`;
}

function readPem(field: string, path: string): Buffer {
  try {
    const pem = readFileSync(path);
    if (pem.includes('-----BEGIN ')) return pem;
    throw new InvalidError([{ field, description: `${path} is no PEM file` }]);
  } catch (error) {
    if (error instanceof InvalidError) throw error;
    throw new InvalidError([{ field, description: `${path} cannot be read: ${(error as Error).message}` }]);
  }
}

function checkPair(context: { ca: Buffer; cert: Buffer; key: Buffer }): void {
  try {
    createSecureContext(context);
  } catch (error) {
    const description = `certificate, key and clientCa cannot be used together: ${(error as Error).message}`;
    throw new InvalidError([{ field: 'listen.tcp', description }]);
  }
}

function bind(server: grpc.Server, address: string, credentials: grpc.ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(new UnavailableError(`cannot listen on ${address}: ${error.message}`, { cause: error }));
    });
  });
}

function shutDown(server: grpc.Server, deadlineMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.forceShutdown(), deadlineMs);
    server.tryShutdown(() => {
      clearTimeout(cut);
      resolve();
    });
  });
}
