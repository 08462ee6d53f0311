import { once } from 'node:events';
import grpc from '@grpc/grpc-js';
import { InvalidError, UnavailableError } from '../base/errors.js';
import type { Input } from './codec.js';
import type { Services } from './generated/messages.generated.js';
import { type Method, methodsOf, type ServiceName, type Shape } from './services.js';
import { refusalOf, toServiceError } from './status.js';

export interface CallReport {
  readonly service: ServiceName;
  /** As in the .proto: "Apply". */
  readonly method: string;
  /** "OK", "INVALID_ARGUMENT"... */
  readonly code: keyof typeof grpc.status;
  readonly durationMs: number;
}

export interface CallHooks {
  readonly onCall: (report: CallReport) => void;
  /** What no error class foresaw: the caller gets INTERNAL, the log the stack. */
  readonly onFault: (error: unknown, where: { service: ServiceName; method: string }) => void;
  /** Aborted when the server stops: streams end. */
  readonly stopping: AbortSignal;
}

export type Handlers<Name extends ServiceName> = {
  readonly [Key in keyof Services[Name]]: Services[Name][Key] extends Shape ? Handler<Services[Name][Key]> : never;
};

type Handler<M extends Shape> = (
  request: M['request'],
  signal: AbortSignal,
) => M['stream'] extends true
  ? AsyncIterable<Input<M['response']>>
  : Input<M['response']> | Promise<Input<M['response']>>;

/** A request that is no such message arrives as this, so that it can be answered in words. */
class Malformed {
  constructor(readonly error: Error) {}
}

type AnyMethod = Method<unknown, unknown>;
type AnyHandler = (request: unknown, signal: AbortSignal) => unknown;

/** Serves promises and async iterables as a gRPC service; every error leaves through status.ts. */
export function implement<Name extends ServiceName>(
  server: grpc.Server,
  service: Name,
  options: { handlers: Handlers<Name>; hooks: CallHooks },
): void {
  const { handlers, hooks } = options;
  const definition: Record<string, grpc.MethodDefinition<unknown, unknown>> = {};
  const implementation: grpc.UntypedServiceImplementation = {};
  for (const method of Object.values(methodsOf(service)) as AnyMethod[]) {
    const handler = (handlers as unknown as Record<string, AnyHandler>)[method.name]!;
    const finish = finisher(service, { method: method.path.split('/')[2]!, hooks });
    definition[method.name] = define(method);
    implementation[method.name] = method.stream
      ? (call: Streaming) => void stream(call, { handler, finish, stopping: hooks.stopping })
      : (call: Unary, callback: grpc.sendUnaryData<unknown>) => void unary(call, { callback, handler, finish });
  }
  server.addService(definition, implementation);
}

type Unary = grpc.ServerUnaryCall<unknown, unknown>;
type Streaming = grpc.ServerWritableStream<unknown, unknown>;
type Outcome = Partial<grpc.StatusObject> | null;
/** Call at the start; the function it gives, at the end: it reports, and gives what to answer, null for OK. */
type Finish = () => (error: unknown) => Outcome;

function define(method: AnyMethod): grpc.MethodDefinition<unknown, unknown> {
  return {
    path: method.path,
    requestStream: false,
    responseStream: method.stream,
    requestSerialize: (message) => method.request.encode(message as never),
    responseSerialize: (message) => method.response.encode(message as never),
    responseDeserialize: (bytes) => method.response.decode(bytes),
    requestDeserialize: (bytes) => {
      try {
        return method.request.decodeStrict(bytes);
      } catch (error) {
        return new Malformed(error as Error);
      }
    },
  };
}

async function unary(
  call: Unary,
  { callback, handler, finish }: { callback: grpc.sendUnaryData<unknown>; handler: AnyHandler; finish: Finish },
): Promise<void> {
  const report = finish();
  const cancelled = cancellation(call);
  try {
    const response = await handler(wellFormed(call.request), cancelled);
    report(null);
    callback(null, response);
  } catch (error) {
    callback(report(error));
  }
}

async function stream(
  call: Streaming,
  { handler, finish, stopping }: { handler: AnyHandler; finish: Finish; stopping: AbortSignal },
): Promise<void> {
  const report = finish();
  const cancelled = cancellation(call);
  const signal = AbortSignal.any([cancelled, stopping]);
  try {
    const messages = handler(wellFormed(call.request), signal) as AsyncIterable<unknown>;
    for await (const message of messages) {
      if (!call.write(message)) await once(call, 'drain', { signal }).catch(() => {});
      if (signal.aborted) break;
    }
    if (cancelled.aborted) throw new Cancelled();
    if (stopping.aborted) throw new UnavailableError('the agent is stopping: connect again later');
    report(null);
    call.end();
  } catch (error) {
    const outcome = report(error);
    if (!call.cancelled) call.emit('error', outcome);
  }
}

class Cancelled extends Error {}

function cancellation(call: Unary | Streaming): AbortSignal {
  const controller = new AbortController();
  if (call.cancelled) controller.abort();
  call.on('cancelled', () => controller.abort());
  return controller.signal;
}

function wellFormed(request: unknown): unknown {
  if (!(request instanceof Malformed)) return request;
  if (request.error instanceof InvalidError) throw request.error;
  const description = `the bytes are no such message: ${request.error.message}`;
  throw new InvalidError([{ field: '(request)', description }]);
}

function finisher(service: ServiceName, { method, hooks }: { method: string; hooks: CallHooks }): Finish {
  return () => {
    const startedAt = performance.now();
    return (error) => {
      const outcome = outcomeOf(error, (fault) => hooks.onFault(fault, { service, method }));
      const code = grpc.status[outcome?.code ?? grpc.status.OK] as CallReport['code'];
      hooks.onCall({ service, method, code, durationMs: performance.now() - startedAt });
      return outcome;
    };
  };
}

function outcomeOf(error: unknown, onFault: (fault: unknown) => void): Outcome {
  if (error === null) return null;
  if (error instanceof Cancelled) return { code: grpc.status.CANCELLED, details: 'the client went away' };
  const refusal = refusalOf(error);
  if (refusal !== null) return toServiceError(refusal);
  onFault(error);
  const message = error instanceof Error ? error.message : String(error);
  return { code: grpc.status.INTERNAL, details: `a fault of the agent, see its log: ${message.slice(0, 500)}` };
}
