import { createHash } from 'node:crypto';
import { type Ip, parseIp } from '../base/ip.js';
import { type At, checkText } from '../config/rules.js';
import { show, Violations } from '../config/violations.js';
import { toTimestamp } from '../config/write.js';
import type * as message from './generated/messages.generated.js';
import type { Handlers } from './implement.js';
import { decodePageToken, encodePageToken } from './page_token.js';
import type { MeteringPort, MeteringRecord, UsageReport } from './port.js';

const defaultPageSize = 10_000;
const maxPageSize = 100_000;
const maxUsage = 4096;
/** The last day that a date can be of, in ECMAScript. */
const latestMs = 8.64e15;

export function meteringService(metering: MeteringPort): Handlers<'MeteringService'> {
  return {
    async list(request) {
      const { query, digest } = readQuery(request);
      const { records, nextMs } = await metering.list(query);
      return { records: records.map(toRecord), nextPageToken: nextMs === null ? '' : encodePageToken(nextMs, digest) };
    },
    async report(request) {
      const unknownVips = await metering.report(readReport(request));
      return { sequence: request.sequence, unknownVips };
    },
  };
}

function readQuery(request: message.ListMeteringRequest): {
  query: Parameters<MeteringPort['list']>[0];
  digest: string;
} {
  const violations = new Violations();
  const atLeast = request.pageSize === 0 ? defaultPageSize : request.pageSize;
  if (atLeast > maxPageSize) violations.add('pageSize', `${atLeast} is not within 1 to ${maxPageSize}`);
  const fromMs = readTime(request.from, { path: 'from', violations }) ?? 0;
  const untilMs = readTime(request.until, { path: 'until', violations }) ?? latestMs;
  if (fromMs >= untilMs) violations.add('until', 'is not after from: nothing lies between');
  violations.throwIfAny();
  const loadBalancer = request.loadBalancer === '' ? null : request.loadBalancer;
  const digest = digestOf([loadBalancer, fromMs, untilMs]);
  // A page begins with the hour that the token names.
  const begin = Math.max(fromMs, decodePageToken(request.pageToken, digest));
  return { query: { loadBalancer, fromMs: begin, untilMs, atLeast }, digest };
}

function readTime(time: message.Timestamp | null, { path, violations }: At): number | null {
  if (time === null) return null;
  const ms = Number(time.seconds) * 1000 + time.nanos / 1e6;
  if (ms < 0 || ms > latestMs) violations.add(path, 'is before 1970, or after any date');
  return ms;
}

function digestOf(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 8);
}

function readReport(request: message.ReportRequest): UsageReport {
  const violations = new Violations();
  for (const field of ['reporter', 'epoch', 'hostname'] as const) {
    checkText(request[field], 128, { path: field, violations });
    if (field !== 'hostname' && request[field] === '') violations.add(field, 'required');
  }
  if (request.sequence === 0n) violations.add('sequence', 'required: counted from 1');
  if (request.usage.length > maxUsage) violations.add('usage', `${request.usage.length} VIPs; at most ${maxUsage}`);
  const usage = request.usage.slice(0, maxUsage).map(({ vip, ...counts }, index) => ({
    ...counts,
    vip: readVip(vip, { path: `usage[${index}].vip`, violations }),
  }));
  violations.throwIfAny();
  const { reporter, hostname, epoch, sequence } = request;
  return { reporter, hostname, epoch, sequence, usage };
}

function readVip(text: string, { path, violations }: At): Ip {
  const ip = parseIp(text);
  if (ip === null) violations.add(path, `${show(text)} is no IPv4 or IPv6 address`);
  return ip ?? '';
}

function toRecord({ hourMs, meteredMs, ...rest }: MeteringRecord) {
  return { ...rest, hour: toTimestamp(hourMs), seconds: Math.round(meteredMs / 1000) };
}
