import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import grpc from '@grpc/grpc-js';
import { SpillwayError } from './client_error.js';
import type { Input } from './codec.js';
import type { Services } from './generated/messages.generated.js';
import { type Method, methodsOf, type ServiceName, type Shape } from './services.js';

export { type Code, type PreconditionViolation, SpillwayError } from './client_error.js';
export { type Codec, codec, type Input, type MessageName } from './codec.js';
export type * as messages from './generated/messages.generated.js';

export interface ConnectOptions {
  /** Mutual TLS; only with `host:port`. Each is the path of a PEM file. */
  readonly tls?: {
    readonly ca: string;
    readonly certificate: string;
    readonly key: string;
    /** Name to find in the server's certificate, where it is not the target's host. */
    readonly serverName?: string;
  };
  /** For each unary call that sets none; 30,000 when left out. */
  readonly timeoutMs?: number;
}

export interface CallOptions {
  /** Unary: DEADLINE_EXCEEDED after it. Streams have no deadline unless set. */
  readonly timeoutMs?: number;
  /** Unary: rejects with CANCELLED. Stream: the iteration ends. */
  readonly signal?: AbortSignal;
}

/** Unary methods give a promise, streams an async iterable; leaving its loop ends the call. Both throw SpillwayError. */
export type ServiceClient<Name extends ServiceName> = {
  readonly [Key in keyof Services[Name]]: Services[Name][Key] extends Shape ? Call<Services[Name][Key]> : never;
};

type Call<M extends Shape> = (
  request?: Input<M['request']>,
  options?: CallOptions,
) => M['stream'] extends true ? AsyncIterable<M['response']> : Promise<M['response']>;

export interface SpillwayClient {
  readonly target: string;
  readonly config: ServiceClient<'ConfigService'>;
  readonly status: ServiceClient<'StatusService'>;
  readonly sessions: ServiceClient<'SessionService'>;
  readonly metering: ServiceClient<'MeteringService'>;
  readonly node: ServiceClient<'NodeService'>;
  readonly capture: ServiceClient<'CaptureService'>;
  readonly cluster: ServiceClient<'ClusterService'>;
  /** Connects. False: not within that time, and nothing was sent. */
  ready(withinMs: number): Promise<boolean>;
  close(): void;
}

/**
 * Connects lazily: the first call says UNAVAILABLE when nobody listens.
 * @param target `unix:/run/spillway/agent.sock` or `host:port`.
 * @throws Error when a TLS file cannot be read.
 */
export function connect(target: string, options: ConnectOptions = {}): SpillwayClient {
  const expected = options.tls?.serverName ?? hostOf(target);
  const client = new grpc.Client(target, credentials(options, expected), {
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
    // A restarted agent is found within a second, not after the default back-off of two minutes.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1000,
    // An IP address is no name for TLS' SNI (RFC 6066): Node.js warns of it.
    ...(options.tls === undefined ? {} : { 'grpc.ssl_target_name_override': isIP(expected) ? 'spillwayd' : expected }),
  });
  const timeoutMs = options.timeoutMs ?? 30_000;
  return {
    target,
    config: bind(client, 'ConfigService', timeoutMs),
    status: bind(client, 'StatusService', timeoutMs),
    sessions: bind(client, 'SessionService', timeoutMs),
    metering: bind(client, 'MeteringService', timeoutMs),
    node: bind(client, 'NodeService', timeoutMs),
    capture: bind(client, 'CaptureService', timeoutMs),
    cluster: bind(client, 'ClusterService', timeoutMs),
    ready: (withinMs) =>
      new Promise((resolve) => {
        client.waitForReady(Date.now() + withinMs, (error) => resolve(error === undefined));
      }),
    close: () => client.close(),
  };
}

function credentials({ tls }: ConnectOptions, expected: string): grpc.ChannelCredentials {
  if (tls === undefined) return grpc.credentials.createInsecure();
  const [ca, key, certificate] = [tls.ca, tls.key, tls.certificate].map((file) => readFileSync(file));
  return grpc.credentials.createSsl(ca, key, certificate, {
    checkServerIdentity: (_, presented) => checkServerIdentity(expected, presented as PeerCertificate),
  });
}

function hostOf(target: string): string {
  return target.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}

function bind<Name extends ServiceName>(client: grpc.Client, name: Name, timeoutMs: number): ServiceClient<Name> {
  const calls: Record<string, unknown> = {};
  for (const method of Object.values(methodsOf(name)) as Method<unknown, unknown>[]) {
    calls[method.name] = method.stream
      ? (request: unknown, options: CallOptions = {}) => stream(client, method, request, options)
      : (request: unknown, options: CallOptions = {}) => unary(client, method, request, { timeoutMs, ...options });
  }
  return calls as ServiceClient<Name>;
}

function unary<Q, R>(client: grpc.Client, method: Method<Q, R>, request: unknown, options: CallOptions): Promise<R> {
  return new Promise((resolve, reject) => {
    const call = client.makeUnaryRequest(
      method.path,
      (message: Input<Q>) => method.request.encode(message),
      (bytes: Buffer) => method.response.decode(bytes),
      (request ?? {}) as Input<Q>,
      new grpc.Metadata(),
      { deadline: Date.now() + (options.timeoutMs ?? 30_000) },
      (error, response) => {
        options.signal?.removeEventListener('abort', cancel);
        if (error === null) resolve(response as R);
        else reject(SpillwayError.of(error));
      },
    );
    const cancel = () => call.cancel();
    options.signal?.addEventListener('abort', cancel);
    if (options.signal?.aborted) cancel();
  });
}

async function* stream<Q, R>(
  client: grpc.Client,
  method: Method<Q, R>,
  request: unknown,
  options: CallOptions,
): AsyncGenerator<R, void, void> {
  const { signal } = options;
  if (signal?.aborted) return;
  const call = client.makeServerStreamRequest(
    method.path,
    (message: Input<Q>) => method.request.encode(message),
    (bytes: Buffer) => method.response.decode(bytes),
    (request ?? {}) as Input<Q>,
    new grpc.Metadata(),
    options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs },
  );
  const cancel = () => call.cancel();
  signal?.addEventListener('abort', cancel);
  try {
    for await (const message of call) yield message as R;
  } catch (error) {
    if (!signal?.aborted) throw SpillwayError.of(error as grpc.ServiceError);
  } finally {
    signal?.removeEventListener('abort', cancel);
    // The error that a cancelled call still emits has nobody else to hear it.
    call.on('error', () => {});
    call.cancel();
  }
}
