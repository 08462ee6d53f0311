import grpc from '@grpc/grpc-js';
import type { Input } from '../../api/codec.js';
import { type Method, methodsOf } from '../../api/services.js';
import {
  type Chunk,
  type FetchRequest,
  type Identity,
  type PeerClient,
  type RandomBytes,
  TransferError,
  type TransferTarget,
} from '../ports.js';
import { checkProof, newNonce, type ProofOf, signToken } from '../token.js';
import { TOKEN_METADATA, wholeChannel } from './channel.js';
import { chunkOf, digestOf, fetchMessageOf } from './messages.js';

const CALL_MS = 5000;
/** A walk over a large table of a busy node. */
const PURGE_MS = 60_000;
/** A stream that is silent for so long is broken. */
const SILENCE_MS = 3000;

const methods = methodsOf('PeerService');

export interface ClientOptions {
  readonly target: TransferTarget;
  readonly identity: Identity;
  readonly credentials: grpc.ChannelCredentials;
  readonly random: RandomBytes;
  readonly wallMs: () => number;
}

/** Calls one peer, with a token in each call, and takes no answer without proof. */
export function connectPeer(options: ClientOptions): PeerClient {
  const { address, port } = options.target;
  const host = address.includes(':') ? `[${address}]` : address;
  const client = new grpc.Client(`${host}:${port}`, options.credentials, {
    ...wholeChannel,
    'grpc.enable_retries': 0,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1000,
    // Peers are known by address, which is no name for TLS' SNI (RFC 6066).
    'grpc.ssl_target_name_override': 'spillway-peer',
    'grpc.default_authority': 'spillway-peer',
    // A pool of connections that all peers' clients share would outlive them.
    'grpc.use_local_subchannel_pool': 1,
  });
  return {
    digest: async (ranges) => digestOf(await unary(client, methods.digest, { ranges }, options)),
    purge: async (filter) => Number((await unary(client, methods.purge, { filter }, options, PURGE_MS)).purged),
    fetch: (request, signal) => fetch(client, request, { ...options, signal }),
    close: () => client.close(),
  };
}

/** The request's bytes, the token for them, and what the answer's proof is made of. */
function sign<Q>(method: Method<Q, unknown>, message: Input<Q>, { identity, target, random, wallMs }: ClientOptions) {
  const request = method.request.encode(message);
  const key = identity.keys()[0]!;
  const nonce = newNonce(random);
  const metadata = new grpc.Metadata();
  const claims = { node: identity.node, boot: target.boot, atMs: Math.floor(wallMs()), nonce };
  metadata.set(TOKEN_METADATA, signToken(claims, { method: method.path, request }, key));
  return { request, metadata, proof: { nonce, key } };
}

const raw = (bytes: Buffer): Buffer => bytes;

async function unary<Q, R>(
  client: grpc.Client,
  method: Method<Q, R>,
  message: Input<Q>,
  options: ClientOptions,
  deadlineMs = CALL_MS,
): Promise<R> {
  const { request, metadata, proof } = sign(method, message, options);
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      raw,
      raw,
      request,
      metadata,
      { deadline: Date.now() + deadlineMs },
      (error, answer) => {
        if (error === null) resolve(answer!);
        else reject(errorOf(error, options.target));
      },
    );
  });
  return method.response.decode(proven(bytes, { ...proof, index: 0 }, options.target));
}

async function* fetch(
  client: grpc.Client,
  wanted: FetchRequest,
  options: ClientOptions & { signal: AbortSignal },
): AsyncGenerator<Chunk, void, void> {
  const { signal, target } = options;
  if (signal.aborted) return;
  const { request, metadata, proof } = sign(methods.fetch, fetchMessageOf(wanted), options);
  const call = client.makeServerStreamRequest(methods.fetch.path, raw, raw, request, metadata, {});
  const silence = new Silence(() => call.cancel());
  const cancel = () => call.cancel();
  signal.addEventListener('abort', cancel);
  let index = 0;
  let isLast = false;
  try {
    for await (const bytes of call) {
      // What the taker does with it is not the peer's silence.
      silence.pause();
      const message = proven(bytes as Buffer, { ...proof, index: index++ }, target);
      const chunk = chunkOf(methods.fetch.response.decode(message));
      isLast = chunk.cursor === 0n;
      yield chunk;
      silence.listen();
    }
  } catch (error) {
    if (silence.isBroken)
      throw new TransferError(`${target.name}: silent for ${SILENCE_MS} ms in the middle of the transfer`, true);
    if (!signal.aborted) throw error instanceof TransferError ? error : errorOf(error as grpc.ServiceError, target);
  } finally {
    silence.pause();
    signal.removeEventListener('abort', cancel);
    // The error that a cancelled call still emits has nobody else to hear it.
    call.on('error', () => {});
    call.cancel();
  }
  if (!isLast && !signal.aborted)
    throw new TransferError(`${target.name}: the transfer ended before its last message`, true);
}

class Silence {
  isBroken = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly onBroken: () => void) {
    this.listen();
  }

  listen(): void {
    this.#timer = setTimeout(() => {
      this.isBroken = true;
      this.onBroken();
    }, SILENCE_MS);
  }

  pause(): void {
    clearTimeout(this.#timer);
  }
}

function proven(bytes: Uint8Array, proof: ProofOf, { name }: TransferTarget): Uint8Array {
  const message = checkProof(bytes, proof);
  if (message !== null) return message;
  throw new TransferError(
    `${name}: its answer carries no proof that it holds our sync key, nothing of it was taken`,
    false,
  );
}

const again: ReadonlySet<number> = new Set([
  grpc.status.UNAVAILABLE,
  grpc.status.RESOURCE_EXHAUSTED,
  grpc.status.DEADLINE_EXCEEDED,
  grpc.status.CANCELLED,
  grpc.status.INTERNAL,
]);

function errorOf({ code, details }: grpc.ServiceError, { name, address, port }: TransferTarget): TransferError {
  return new TransferError(`${name} (${address} port ${port}): ${details}`, again.has(code));
}
