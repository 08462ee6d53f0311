import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import grpc from '@grpc/grpc-js';
import type { Input, messages } from '../../../src/api/client.js';
import { detailsKey, encodeDetails } from '../../../src/api/error_details.js';
import { type Method, methodsOf, type ServiceName, type Shape } from '../../../src/api/services.js';
import type { FieldViolation } from '../../../src/base/errors.js';

type Services = messages.Services;

type Handler<M extends Shape> = (
  request: M['request'],
) => M['stream'] extends true
  ? Iterable<Input<M['response']>> | AsyncIterable<Input<M['response']>>
  : Input<M['response']> | Promise<Input<M['response']>>;

/** What the agent answers; a method that is left out is UNIMPLEMENTED. */
export type Handlers = {
  readonly [Name in ServiceName]?: {
    readonly [Key in keyof Services[Name]]?: Services[Name][Key] extends Shape ? Handler<Services[Name][Key]> : never;
  };
};

export interface FakeAgent {
  readonly socket: string;
  close(): void;
}

/** Answers on a Unix socket with what a test wants: also what a sound agent would never say. */
export async function startFakeAgent(handlers: Handlers): Promise<FakeAgent> {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-cli-'));
  const server = new grpc.Server();
  for (const [name, own] of Object.entries(handlers)) addService(server, name as ServiceName, own as AnyHandlers);
  const socket = `unix:${join(folder, 'agent.sock')}`;
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(socket, grpc.ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
  return {
    socket,
    close() {
      server.forceShutdown();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

type AnyHandlers = Readonly<Record<string, (request: unknown) => unknown>>;

function addService(server: grpc.Server, name: ServiceName, handlers: AnyHandlers): void {
  const definition: Record<string, grpc.MethodDefinition<unknown, unknown>> = {};
  const implementation: Record<string, grpc.UntypedHandleCall> = {};
  for (const method of Object.values(methodsOf(name)) as Method<never, never>[]) {
    const handler = handlers[method.name];
    definition[method.name] = {
      path: method.path,
      requestStream: false,
      responseStream: method.stream,
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: (bytes) => method.request.decode(bytes),
      responseSerialize: (message) => method.response.encode(message as never),
      responseDeserialize: () => null,
    };
    if (handler === undefined) continue;
    implementation[method.name] = method.stream ? streamOf(handler) : unaryOf(handler);
  }
  server.addService(definition, implementation);
}

function unaryOf(handler: (request: unknown) => unknown): grpc.handleUnaryCall<unknown, unknown> {
  return async (call, callback) => {
    try {
      callback(null, await handler(call.request));
    } catch (error) {
      callback(error as grpc.ServiceError);
    }
  };
}

function streamOf(handler: (request: unknown) => unknown): grpc.handleServerStreamingCall<unknown, unknown> {
  return async (call) => {
    try {
      for await (const message of handler(call.request) as AsyncIterable<unknown>) call.write(message);
      call.end();
    } catch (error) {
      call.emit('error', error);
    }
  };
}

export function refuse(
  code: keyof typeof grpc.status,
  message: string,
  fieldViolations: readonly FieldViolation[] = [],
) {
  const metadata = new grpc.Metadata();
  const status = { code: grpc.status[code], message };
  metadata.set(detailsKey, encodeDetails(status, [{ type: 'google.rpc.BadRequest', value: { fieldViolations } }]));
  return Object.assign(new Error(message), { code: status.code, details: message, metadata });
}

/** As the agent says that what it was asked to wait for has not come to pass. */
export function stillGoing(message: string) {
  const status = { code: grpc.status.DEADLINE_EXCEEDED, message };
  const metadata = new grpc.Metadata();
  const info = { reason: 'STILL_GOING', domain: 'spillway', metadata: {} };
  metadata.set(detailsKey, encodeDetails(status, [{ type: 'google.rpc.ErrorInfo', value: info }]));
  return Object.assign(new Error(message), { code: status.code, details: message, metadata });
}
