import type * as message from '../api/generated/messages.generated.js';
import type { AccessControl, Listener, Protocol, Scheduler } from './desired.js';
import { type At, checkName, checkPort, checkText, durationMs } from './rules.js';
import { readHealthCheck } from './validate_health_check.js';
import { readLimits } from './validate_limits.js';
import { readLocality } from './validate_locality.js';
import { readQuic } from './validate_quic.js';
import { show } from './violations.js';

const sessionTimeout = { min: 10_000, max: 900_000 };
const unsetTimeoutMs = { tcp: 900_000, udp: 90_000 };
const sourcePersistence = { min: 1000, max: 3_600_000 };
const slowStart = { min: 1000, max: 900_000 };

/** What can be said of a listener without looking at any other resource. */
export function readListener(from: message.Listener, at: At): Listener {
  const { path, violations } = at;
  const inside = (field: string): At => ({ path: `${path}.${field}`, violations });
  const protocol = readProtocol(from.protocol, inside('protocol'));
  const name = from.name === '' ? `${protocol}-${from.port}` : from.name;
  if (from.name !== '') checkName(from.name, inside('name'));
  checkPort(from.port, inside('port'));
  checkText(from.description, 1024, inside('description'));
  if (from.backendGroup === '') violations.add(`${path}.backendGroup`, 'required: the name of a backend group');
  return {
    name,
    protocol,
    port: from.port,
    backendGroup: from.backendGroup,
    scheduler: readScheduler(from, inside('scheduler')),
    sessionTimeoutMs: durationMs(
      from.sessionTimeout,
      { ...sessionTimeout, unset: unsetTimeoutMs[protocol] },
      inside('sessionTimeout'),
    ),
    healthCheck: from.healthCheck === null ? null : readHealthCheck(from.healthCheck, inside('healthCheck')),
    allUnhealthy: readAllUnhealthy(from.allUnhealthy, inside('allUnhealthy')),
    stopped: from.stopped,
    description: from.description,
    sourcePersistenceMs: readSourcePersistence(from, inside('sourcePersistence')),
    accessControl: readAccessControl(from.accessControl, inside('accessControl')),
    limits: readLimits(from.limits, inside('limits')),
    quic: readQuic(from, inside('quic')),
    slowStartMs: readSlowStart(from, inside('slowStart')),
    locality: readLocality(from.locality, inside('locality')),
  };
}

function readProtocol(protocol: message.Protocol, { path, violations }: At): Protocol {
  switch (protocol) {
    case 'TCP':
      return 'tcp';
    case 'UDP':
      return 'udp';
    case 'PROTOCOL_UNSPECIFIED':
      violations.add(path, 'required: TCP or UDP');
      return 'tcp';
    default:
      return unknown(protocol, 'TCP or UDP', { path, violations }) ?? 'tcp';
  }
}

function readScheduler({ scheduler, protocol }: message.Listener, { path, violations }: At): Scheduler {
  switch (scheduler) {
    case 'SCHEDULER_UNSPECIFIED':
      return 'TCH';
    case 'QCH':
      if (protocol === 'TCP') violations.add(path, 'QCH is for QUIC, which is UDP: set protocol to UDP, or use TCH');
      return scheduler;
    case 'TCH':
    case 'SCH':
    case 'WRR':
    case 'RR':
    case 'WLC':
      return scheduler;
    default:
      return unknown(scheduler, 'TCH, SCH, WRR, RR, WLC or QCH', { path, violations }) ?? 'TCH';
  }
}

function readSourcePersistence({ sourcePersistence: from, scheduler }: message.Listener, at: At): number {
  const ms = switchable(from, sourcePersistence, at);
  if (ms > 0 && scheduler === 'QCH') {
    at.violations.add(
      at.path,
      'not with QCH, which keeps to the server id also where the client changes its address: leave it out',
    );
  }
  return ms;
}

function readSlowStart({ slowStart: from, scheduler, healthCheck }: message.Listener, at: At): number {
  const ms = switchable(from, slowStart, at);
  if (ms > 0 && scheduler === 'RR') {
    at.violations.add(at.path, 'not with RR, which knows no shares: leave it out, or use WRR');
  } else if (ms > 0 && healthCheck === null) {
    at.violations.add(
      at.path,
      'needs a health check, for without one no backend is ever seen to come back: set healthCheck, or leave it out',
    );
  }
  return ms;
}

/** Off where it is unset or 0. */
function switchable(from: message.Duration | null, range: { min: number; max: number }, at: At): number {
  return from?.seconds === 0n && from.nanos === 0 ? 0 : durationMs(from, { ...range, unset: 0 }, at);
}

function readAccessControl(from: message.AccessControl | null, { path, violations }: At): AccessControl | null {
  if (from === null) return null;
  const { accessList } = from;
  if (accessList === '') violations.add(`${path}.accessList`, 'required: the name of an access list');
  return { mode: readMode(from.mode, { path: `${path}.mode`, violations }), accessList };
}

function readMode(mode: message.AccessControl['mode'], at: At): AccessControl['mode'] {
  if (mode === 'ALLOW' || mode === 'DENY') return mode;
  if (mode !== 'MODE_UNSPECIFIED') return unknown(mode, 'ALLOW or DENY', at) ?? 'DENY';
  at.violations.add(at.path, 'required: ALLOW (only these clients) or DENY (all but these)');
  return 'DENY';
}

function readAllUnhealthy(value: message.AllUnhealthy, at: At): Listener['allUnhealthy'] {
  if (value === 'ALL_UNHEALTHY_UNSPECIFIED' || value === 'FAIL_OPEN') return 'FAIL_OPEN';
  if (value === 'FAIL_CLOSED') return 'FAIL_CLOSED';
  return unknown(value, 'FAIL_OPEN or FAIL_CLOSED', at) ?? 'FAIL_OPEN';
}

/** A number that came over the wire from a later version's enum. */
export function unknown(value: never, expected: string, { path, violations }: At): null {
  violations.add(path, `${show(value)} is unknown to this version: ${expected} is expected`);
  return null;
}
