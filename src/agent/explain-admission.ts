import { type Limit, LimitFlags, LimitOver } from '../abi/abi.generated.js';
import type { RefusalReason } from '../api/port.js';
import type { Ip } from '../base/ip.js';
import { listOf } from '../compile/access.js';
import type { Compiled, CompiledService } from '../compile/compiled.js';
import type { FlowKey } from '../compile/fingerprint.js';
import type { CompiledLimit } from '../compile/limits.js';
import { liveSessions } from '../dataplane/limits.js';
import type { ControlTables } from '../dataplane/tables.js';

/** As in bpf/abi_types.h. */
const LIMIT_STALE_TICKS = 8;

export interface AdmissionQuestion {
  readonly client: Ip;
  readonly service: CompiledService;
  readonly compiled: Compiled;
  readonly control: ControlTables;
  readonly key: FlowKey;
}

/** Would this client's flow be let in now? Nothing is charged. `steps` takes what there is to say; null: it would. */
export function refusalOf(question: AdmissionQuestion, steps: string[]): RefusalReason | null {
  const { service, compiled } = question;
  const row = compiled.tables.services.get(service.id);
  const denied = denialOf(question, steps);
  if (denied) return denied;
  for (const id of [row?.listenerLimit, row?.balancerLimit]) {
    const limit = id ? compiled.limits.get(id) : undefined;
    if (!limit) continue;
    if (!(limit.row.flags & LimitFlags.LIMIT_SET)) continue;
    const refused = limitRefusal(limit, question);
    if (refused) {
      steps.push(`${ownerOf(limit)} has no room: ${refused.why}`);
      return refused.reason;
    }
    steps.push(`${ownerOf(limit)} has room for it`);
  }
  return null;
}

/** By the access list alone. */
export function denialOf(
  { service, compiled, control, client }: AdmissionQuestion,
  steps: string[],
): 'access_denied' | null {
  const row = compiled.tables.services.get(service.id);
  const { accessControl } = service.listener;
  if (!row || !accessControl) return null;
  const listed = control.access.holds(listOf(row.access), client);
  const word = accessControl.mode === 'ALLOW' ? 'allows' : 'denies';
  steps.push(
    `the listener ${word} clients of access list ${accessControl.accessList}: ${client} is ${listed ? '' : 'not '}on it`,
  );
  return listed !== (accessControl.mode === 'ALLOW') ? 'access_denied' : null;
}

function ownerOf({ loadBalancer, listener }: CompiledLimit): string {
  return listener ? 'the limit of the listener' : `the limit of LoadBalancer ${loadBalancer.name}`;
}

/** As limit_refusal in bpf/admit.h. */
function limitRefusal(
  { id, limits }: CompiledLimit,
  { control, client, key }: AdmissionQuestion,
): { reason: RefusalReason; why: string } | null {
  const row = control.limitRows.row(id);
  const live = liveSessions(row);
  if (row.sessions > 0 && live >= row.sessions) {
    return { reason: 'session_limit', why: `${live} of ${row.sessions} sessions` };
  }
  const over = overNow(row, control.tick);
  if (over & LimitOver.LIMIT_OVER_BITS) {
    return { reason: 'bandwidth_limit', why: `more than ${limits.bitsPerSecond} bits/s come in` };
  }
  if (over) return { reason: 'packet_limit', why: `more than ${limits.packetsPerSecond} packets/s come in` };
  const now = control.limitTime;
  if (row.sourceInterval > 0n && isFull(control.sources.busyUntil(client, id, key), row.sourceInterval, row, now)) {
    return {
      reason: 'source_rate',
      why: `${client} has used up its ${limits.newSessionsPerSecondPerSource} new sessions a second`,
    };
  }
  if (row.interval > 0n && isFull(row.busyUntil, row.interval, row, now)) {
    return { reason: 'connection_rate', why: `${limits.newSessionsPerSecond} new sessions a second are used up` };
  }
  return null;
}

function overNow({ over }: Limit, tick: number): number {
  const age = (tick - Number(BigInt.asUintN(32, over))) >>> 0;
  return age <= LIMIT_STALE_TICKS ? Number(over >> 32n) : 0;
}

function isFull(busyUntil: bigint, interval: bigint, { burst }: Limit, now: bigint): boolean {
  const ahead = BigInt.asIntN(64, busyUntil - now);
  return (ahead > 0n ? ahead : 0n) + interval > burst;
}
