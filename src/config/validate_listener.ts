import type * as message from '../api/generated/messages.generated.js';
import { type Listener, noLimits, type Protocol, type Scheduler } from './desired.js';
import { type At, checkName, checkPort, checkText, durationMs } from './rules.js';
import { readHealthCheck } from './validate_health_check.js';
import { show } from './violations.js';

const sessionTimeout = { min: 10_000, max: 900_000 };
const unsetTimeoutMs = { tcp: 900_000, udp: 90_000 };

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
    scheduler: readScheduler(from.scheduler, inside('scheduler')),
    sessionTimeoutMs: durationMs(
      from.sessionTimeout,
      { ...sessionTimeout, unset: unsetTimeoutMs[protocol] },
      inside('sessionTimeout'),
    ),
    healthCheck: from.healthCheck === null ? null : readHealthCheck(from.healthCheck, inside('healthCheck')),
    allUnhealthy: readAllUnhealthy(from.allUnhealthy, inside('allUnhealthy')),
    stopped: from.stopped,
    description: from.description,
    sourcePersistenceMs: 0,
    accessControl: null,
    limits: noLimits,
    quic: [],
    slowStartMs: 0,
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

const instead = { WRR: 'TCH', RR: 'TCH', WLC: 'TCH', QCH: 'SCH' } as const;
const why = {
  WRR: 'it spreads by weight and gives the same answer on every node',
  RR: 'it spreads evenly at equal weights and gives the same answer on every node',
  WLC: 'it spreads by weight and gives the same answer on every node',
  QCH: 'a QUIC client keeps its backend when its port changes, as long as its address stays',
} as const;

function readScheduler(scheduler: message.Scheduler, { path, violations }: At): Scheduler {
  switch (scheduler) {
    case 'SCHEDULER_UNSPECIFIED':
    case 'TCH':
      return 'TCH';
    case 'SCH':
      return 'SCH';
    case 'WRR':
    case 'RR':
    case 'WLC':
    case 'QCH':
      violations.add(path, `${scheduler} is not in this version: use ${instead[scheduler]} (${why[scheduler]})`);
      return 'TCH';
    default:
      return unknown(scheduler, 'TCH or SCH', { path, violations }) ?? 'TCH';
  }
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
