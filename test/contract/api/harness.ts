import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { connect, type SpillwayClient, SpillwayError } from '../../../src/api/client.js';
import { type ApiServer, type CallReport, createServer, type ServerOptions } from '../../../src/api/server.js';
import { FakeAgent } from './fake_agent.js';

export interface Api {
  readonly agent: FakeAgent;
  readonly server: ApiServer;
  readonly client: SpillwayClient;
  readonly calls: CallReport[];
  readonly faults: unknown[];
  readonly folder: string;
  readonly socket: string;
}

export function temporaryFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'spillway-api-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A server with a fake agent on a unix socket of its own, and a client of it; gone when the test ends. */
export async function startApi(t: ExecutionContext, options: Partial<ServerOptions> = {}): Promise<Api> {
  const folder = temporaryFolder(t);
  const socket = path.join(folder, 'run', 'agent.sock');
  const agent = new FakeAgent();
  const calls: CallReport[] = [];
  const faults: unknown[] = [];
  const server = await createServer({
    agent,
    listen: { unix: socket, tcp: null },
    onCall: (report) => calls.push(report),
    onFault: (error) => faults.push(error),
    ...options,
  });
  const client = connect(`unix:${socket}`, { timeoutMs: 10_000 });
  t.teardown(async () => {
    client.close();
    await server.stop({ deadlineMs: 100 });
  });
  return { agent, server, client, calls, faults, folder, socket };
}

export async function refused(t: ExecutionContext, call: Promise<unknown>): Promise<SpillwayError> {
  const error = await t.throwsAsync(call, { instanceOf: SpillwayError });
  return error as SpillwayError;
}

export const sample = {
  loadBalancers: [
    {
      name: 'web',
      addresses: ['192.0.2.1', '2001:db8::1'],
      listeners: [{ protocol: 'TCP', port: 443, backendGroup: 'web' }],
    },
  ],
  backendGroups: [
    {
      name: 'web',
      forwarding: 'L2_DSR',
      backends: [
        { name: 'be1', address: '203.0.113.1' },
        { name: 'be2', address: '203.0.113.2', weight: 50 },
      ],
    },
  ],
} as const;
