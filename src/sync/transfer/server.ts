import { once } from 'node:events';
import grpc from '@grpc/grpc-js';
import type { Input } from '../../api/codec.js';
import { type Method, methodsOf } from '../../api/services.js';
import { UnavailableError } from '../../base/errors.js';
import type { Identity, PeerHandlers, TransferServer } from '../ports.js';
import { type ProofOf, TokenGate, withProof } from '../token.js';
import { TOKEN_METADATA, wholeChannel } from './channel.js';
import { fetchRequestOf } from './messages.js';

/** Fetches at once: each walks the table and keeps some megabytes in flight. */
const MAX_FETCHES = 2;
const MAX_CALLS = 16;
const STOP_MS = 500;

export interface ServeOptions {
  readonly address: string;
  readonly port: number;
  readonly identity: Identity;
  readonly credentials: grpc.ServerCredentials;
  readonly wallMs: () => number;
}

const methods = methodsOf('PeerService');
const raw = (bytes: Buffer): Buffer => bytes;

type Unary = grpc.ServerUnaryCall<Buffer, Buffer>;
type Streaming = grpc.ServerWritableStream<Buffer, Buffer>;

class Refusal extends Error {
  constructor(
    readonly code: grpc.status,
    message: string,
  ) {
    super(message);
  }
}

/** PeerService on TCP. @throws UnavailableError when the address is taken. */
export async function servePeers(handlers: PeerHandlers, options: ServeOptions): Promise<TransferServer> {
  grpc.setLogVerbosity(grpc.logVerbosity.NONE);
  const server = new grpc.Server(wholeChannel);
  const calls = new PeerCalls(handlers, options);
  server.addService(
    { digest: define(methods.digest), fetch: define(methods.fetch), purge: define(methods.purge) },
    {
      digest: (call: Unary, callback: grpc.sendUnaryData<Buffer>) => void calls.digest(call, callback),
      fetch: (call: Streaming) => void calls.fetch(call),
      purge: (call: Unary, callback: grpc.sendUnaryData<Buffer>) => void calls.purge(call, callback),
    },
  );
  const port = await bind(server, options);
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        const cut = setTimeout(() => server.forceShutdown(), STOP_MS);
        server.tryShutdown(() => {
          clearTimeout(cut);
          resolve();
        });
        calls.stop();
      }),
  };
}

/* Bytes as they are: tokens and proofs are over them. */
function define({ path, stream }: { path: string; stream: boolean }): grpc.MethodDefinition<Buffer, Buffer> {
  return {
    ...{ path, requestStream: false, responseStream: stream },
    ...{ requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw },
  };
}

function bind(server: grpc.Server, { address, port, credentials }: ServeOptions): Promise<number> {
  const target = `${address.includes(':') ? `[${address}]` : address}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(target, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else
        reject(
          new UnavailableError(`cannot listen on ${target} for the transfer of sessions: ${error.message}`, {
            cause: error,
          }),
        );
    });
  });
}

class PeerCalls {
  readonly #handlers: PeerHandlers;
  readonly #gate: TokenGate;
  readonly #stopping = new AbortController();
  #calls = 0;
  #fetches = 0;

  constructor(handlers: PeerHandlers, { identity, wallMs }: ServeOptions) {
    this.#handlers = handlers;
    this.#gate = new TokenGate({ boot: identity.boot, keys: () => identity.keys(), wallMs });
  }

  stop(): void {
    this.#stopping.abort();
  }

  digest(call: Unary, callback: grpc.sendUnaryData<Buffer>): Promise<void> {
    return this.#unary(call, callback, {
      method: methods.digest,
      answer: async ({ ranges }) => {
        checkRanges(ranges);
        const { boot, counts, sums } = await this.#handlers.digest(ranges);
        return { bootId: boot, counts: Array.from(counts), sums: Array.from(sums) };
      },
    });
  }

  purge(call: Unary, callback: grpc.sendUnaryData<Buffer>): Promise<void> {
    return this.#unary(call, callback, {
      method: methods.purge,
      answer: async ({ filter }) => ({ purged: BigInt(await this.#handlers.purge(filter)) }),
    });
  }

  async #unary<Q, R>(
    call: Unary,
    callback: grpc.sendUnaryData<Buffer>,
    { method, answer }: { method: Method<Q, R>; answer: (request: Q) => Promise<Input<R>> },
  ): Promise<void> {
    try {
      const proof = this.#admit(call, method);
      this.#calls++;
      try {
        const message = await answer(requestOf(call.request, method));
        callback(null, withProof(method.response.encode(message), { ...proof, index: 0 }));
      } finally {
        this.#calls--;
      }
    } catch (error) {
      callback(statusOf(error));
    }
  }

  async fetch(call: Streaming): Promise<void> {
    try {
      const proof = this.#admit(call, methods.fetch);
      const request = fetchRequestOf(requestOf(call.request, methods.fetch));
      if (request.wanted !== null) checkRanges(request.ranges);
      if (this.#fetches >= MAX_FETCHES) {
        throw new Refusal(
          grpc.status.RESOURCE_EXHAUSTED,
          `${MAX_FETCHES} nodes fetch sessions already: try again, or another node`,
        );
      }
      this.#fetches++;
      try {
        await this.#stream(call, { proof, request });
      } finally {
        this.#fetches--;
      }
      call.end();
    } catch (error) {
      if (!call.cancelled) call.emit('error', statusOf(error));
    }
  }

  async #stream(
    call: Streaming,
    { proof, request }: { proof: Omit<ProofOf, 'index'>; request: ReturnType<typeof fetchRequestOf> },
  ): Promise<void> {
    const cancelled = new AbortController();
    if (call.cancelled) cancelled.abort();
    call.on('cancelled', () => cancelled.abort());
    const signal = AbortSignal.any([cancelled.signal, this.#stopping.signal]);
    let index = 0;
    for await (const { boot, cursor, records, expected } of this.#handlers.fetch(request, signal)) {
      const message = methods.fetch.response.encode({ bootId: boot, cursor, records, expected });
      if (!call.write(withProof(message, { ...proof, index: index++ }))) {
        await once(call, 'drain', { signal }).catch(() => {});
      }
      if (signal.aborted) break;
    }
    if (this.#stopping.signal.aborted) throw new Refusal(grpc.status.UNAVAILABLE, 'the agent is stopping');
    if (cancelled.signal.aborted) throw new Refusal(grpc.status.CANCELLED, 'the peer went away');
  }

  #admit(call: Unary | Streaming, { path }: { path: string }): Omit<ProofOf, 'index'> {
    const token = call.metadata.get(TOKEN_METADATA)[0]?.toString();
    const verdict = this.#gate.check(token, { method: path, request: call.request });
    if (!verdict.ok) throw new Refusal(grpc.status.UNAUTHENTICATED, verdict.reason);
    if (this.#calls >= MAX_CALLS) throw new Refusal(grpc.status.RESOURCE_EXHAUSTED, `${MAX_CALLS} calls are under way`);
    return { nonce: verdict.claims.nonce, key: verdict.key };
  }
}

function checkRanges(ranges: number): void {
  if (ranges >= 1 && ranges <= 65_536 && (ranges & (ranges - 1)) === 0) return;
  throw new Refusal(grpc.status.INVALID_ARGUMENT, `ranges ${ranges}: a power of two from 1 to 65536`);
}

function requestOf<Q>(bytes: Buffer, { request }: { request: { decode(bytes: Uint8Array): Q } }): Q {
  try {
    return request.decode(bytes);
  } catch (error) {
    throw new Refusal(grpc.status.INVALID_ARGUMENT, `the bytes are no such message: ${(error as Error).message}`);
  }
}

function statusOf(error: unknown): Partial<grpc.StatusObject> {
  if (error instanceof Refusal) return { code: error.code, details: error.message };
  return {
    code: grpc.status.INTERNAL,
    details: `a fault of the agent: ${error instanceof Error ? error.message : String(error)}`,
  };
}
