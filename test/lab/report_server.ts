/**
 * A load balancer's metering, and nothing else of it, on a unix socket: counts each report once, as the agent does, and
 * keeps what it counted in a file before it answers. `report_server SOCKET FILE [DIES_AFTER]`: with DIES_AFTER it kills
 * itself at the report of that number, counted but not answered.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import grpc from '@grpc/grpc-js';
import type { messages } from '../../src/api/client.js';
import { methodsOf } from '../../src/api/services.js';

export interface Counted {
  /** By reporter and epoch. */
  readonly last: Record<string, string>;
  readonly usage: Record<string, { packetsIn: string; bytesIn: string; packetsOut: string; bytesOut: string }>;
  reports: number;
  repeats: number;
}

const [socket = '', file = '', diesAfter = '0'] = process.argv.slice(2);
const counted: Counted = existsSync(file)
  ? (JSON.parse(readFileSync(file, 'utf8')) as Counted)
  : { last: {}, usage: {}, reports: 0, repeats: 0 };
let taken = 0;

function keep(): void {
  writeFileSync(`${file}.new`, JSON.stringify(counted));
  renameSync(`${file}.new`, file);
}

function count({ reporter, epoch, sequence, usage }: messages.ReportRequest): void {
  const key = `${reporter} ${epoch}`;
  if (sequence <= BigInt(counted.last[key] ?? 0)) {
    counted.repeats++;
    return;
  }
  counted.last[key] = String(sequence);
  counted.reports++;
  for (const one of usage) {
    const sum = counted.usage[one.vip] ?? { packetsIn: '0', bytesIn: '0', packetsOut: '0', bytesOut: '0' };
    for (const name of ['packetsIn', 'bytesIn', 'packetsOut', 'bytesOut'] as const) {
      sum[name] = String(BigInt(sum[name]) + one[name]);
    }
    counted.usage[one.vip] = sum;
  }
}

const { report } = methodsOf('MeteringService');
const server = new grpc.Server();
server.addService(
  {
    report: {
      path: report.path,
      requestStream: false,
      responseStream: false,
      requestDeserialize: (bytes: Buffer) => report.request.decode(bytes),
      requestSerialize: () => Buffer.alloc(0),
      responseDeserialize: () => null,
      responseSerialize: (message: { sequence: bigint; unknownVips: string[] }) => report.response.encode(message),
    },
  },
  {
    report: (call: grpc.ServerUnaryCall<messages.ReportRequest, unknown>, answer: grpc.sendUnaryData<unknown>) => {
      count(call.request);
      keep();
      if (++taken === Number(diesAfter)) process.kill(process.pid, 'SIGKILL');
      else answer(null, { sequence: call.request.sequence, unknownVips: [] });
    },
  },
);
rmSync(socket, { force: true });
keep();
server.bindAsync(`unix:${socket}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  process.stdout.write('ready\n');
});
