import { ipToPlainBytes } from '../base/ip.js';
import { formatDuration, isLocalError, quoteBytes } from './errno.js';
import { buildRequest, headEnd, headLimit, judgeReply, serverName } from './http.js';
import type { ProbeReply, ProbeRequest } from './ports.js';
import type { CheckTarget } from './types.js';
import { failed, passed, type Verdict } from './verdict.js';

/** A target made ready to probe: everything that is the same at each check is built once. */
export interface CompiledCheck {
  readonly request: Omit<ProbeRequest, 'id'>;
  /** What to say over TLS once the prober has connected; null without TLS. */
  readonly tls: { readonly serverName: string | null; readonly send: Uint8Array } | null;
  judge(reply: ProbeReply): Verdict;
}

export function compileCheck(target: CheckTarget): CompiledCheck {
  const { probe, timeoutMs, intervalMs } = target.check;
  const base = { address: ipToPlainBytes(target.address), port: target.port, mark: target.mark, timeoutMs };
  const plain = { ...base, send: null, receive: 0, until: null, handOver: false };
  const within = formatDuration(timeoutMs);
  switch (probe.kind) {
    case 'tcp':
      return {
        request: { kind: 'tcp', ...plain },
        tls: null,
        judge: ({ error }) =>
          error === null ? passed : judgeError('connect', error, `connect: no answer within ${within}`),
      };
    case 'http': {
      const send = buildRequest(probe, target.address, target.port);
      const judge = ({ error, data }: ProbeReply): Verdict =>
        error === null
          ? judgeReply(data, probe.expectedCodes)
          : judgeError(stageOf(error), error, `no reply within ${within}`);
      if (probe.tls) {
        const tls = { serverName: serverName(probe.host), send };
        return { request: { kind: 'tcp', ...plain, handOver: true }, tls, judge };
      }
      return { request: { kind: 'tcp', ...plain, send, receive: headLimit, until: headEnd }, tls: null, judge };
    }
    case 'udp': {
      const expected = probe.expectedReply;
      const request = { ...plain, send: probe.request, receive: expected.length };
      // Silence is what a healthy backend answers: waiting for it longer than an interval would only slow recovery.
      const waitMs = expected.length === 0 ? Math.min(timeoutMs, intervalMs) : timeoutMs;
      return {
        request: { kind: 'udp', ...request, timeoutMs: waitMs },
        tls: null,
        judge: (reply) => judgeDatagram(reply, expected, `no reply within ${within}`),
      };
    }
  }
}

function judgeDatagram({ error, data }: ProbeReply, expected: Uint8Array, timedOut: string): Verdict {
  if (error === 'ECONNREFUSED') return failed('ICMP port unreachable');
  if (error !== null) return judgeError('send', error, timedOut);
  if (expected.length === 0) return passed;
  const reply = data ?? new Uint8Array();
  if (Buffer.compare(reply.subarray(0, expected.length), expected) === 0) return passed;
  return failed(`reply ${quoteBytes(reply)}, expected ${quoteBytes(expected)}`);
}

function judgeError(stage: string, error: string, timedOut: string): Verdict {
  if (error === 'ETIMEDOUT') return failed(timedOut);
  if (isLocalError(error)) return { kind: 'local', error };
  return failed(`${stage}: ${error}`);
}

/** The prober reports one error for the whole exchange; these come only after the connection was made. */
function stageOf(error: string): string {
  if (error === 'ECONNRESET' || error === 'EPIPE') return 'exchange';
  return error.startsWith('E') && !error.startsWith('ERR_') && error !== 'EPROTO' ? 'connect' : 'TLS';
}

/** Whether two targets of one key are probed and judged alike. */
export function sameSpec(a: CheckTarget, b: CheckTarget): boolean {
  if (a.address !== b.address || a.port !== b.port || a.mark !== b.mark) return false;
  return a.check === b.check || sameValue(a.check, b.check);
}

function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    return a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  }
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => sameValue((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}
