import type { BackendStatus, ListenerStatus, Status } from '../api/port.js';
import type { SampleType } from './text.js';

export type Value = number | bigint;

/** A metric family with one sample for each T; `value` null leaves that sample out. */
export interface Family<T> {
  readonly name: string;
  readonly type: SampleType;
  readonly help: string;
  readonly value: (of: T) => Value | null;
}

const flag = (on: boolean): number => (on ? 1 : 0);
export const seconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);

/** Labels: load_balancer, listener. */
export const listenerFamilies: readonly Family<ListenerStatus>[] = [
  {
    name: 'spillway_listener_packets_total',
    type: 'counter',
    help: 'Packets forwarded to backends.',
    value: (listener) => listener.traffic.packets,
  },
  {
    name: 'spillway_listener_bytes_total',
    type: 'counter',
    help: 'Bytes of the forwarded packets: Ethernet frames as received, without FCS.',
    value: (listener) => listener.traffic.bytes,
  },
  {
    name: 'spillway_listener_new_sessions_total',
    type: 'counter',
    help: 'Sessions made.',
    value: (listener) => listener.traffic.newSessions,
  },
  {
    name: 'spillway_listener_packets_without_session_total',
    type: 'counter',
    help: 'Packets forwarded by the scheduler alone, without a session.',
    value: (listener) => listener.traffic.packetsWithoutSession,
  },
  {
    name: 'spillway_listener_sessions',
    type: 'gauge',
    help: 'Live sessions at the last count (spillway_sessions_counted_timestamp_seconds).',
    value: (listener) => listener.traffic.activeSessions,
  },
  {
    name: 'spillway_listener_backends',
    type: 'gauge',
    help: 'Backends configured.',
    value: (listener) => listener.backendsTotal,
  },
  {
    name: 'spillway_listener_backends_healthy',
    type: 'gauge',
    help: 'Backends whose checks pass, or that are not checked.',
    value: (listener) => listener.backendsHealthy,
  },
  {
    name: 'spillway_listener_failing_open',
    type: 'gauge',
    help: '1: every backend is unhealthy and all of them get traffic.',
    value: (listener) => flag(listener.failingOpen),
  },
  {
    name: 'spillway_listener_stopped',
    type: 'gauge',
    help: '1: stopped by configuration, packets are dropped.',
    value: (listener) => flag(listener.stopped),
  },
];

/** Labels: load_balancer, listener, backend_group, backend. */
export const backendFamilies: readonly Family<BackendStatus>[] = [
  {
    name: 'spillway_backend_packets_total',
    type: 'counter',
    help: 'Packets forwarded to this backend.',
    value: (backend) => backend.traffic.packets,
  },
  {
    name: 'spillway_backend_bytes_total',
    type: 'counter',
    help: 'Bytes of the forwarded packets: Ethernet frames as received, without FCS.',
    value: (backend) => backend.traffic.bytes,
  },
  {
    name: 'spillway_backend_new_sessions_total',
    type: 'counter',
    help: 'Sessions made on this backend.',
    value: (backend) => backend.traffic.newSessions,
  },
  {
    name: 'spillway_backend_sessions',
    type: 'gauge',
    help: 'Live sessions at the last count (spillway_sessions_counted_timestamp_seconds).',
    value: (backend) => backend.traffic.activeSessions,
  },
  {
    name: 'spillway_backend_healthy',
    type: 'gauge',
    help: '1: checks pass, or none is configured; 0: checks fail, or none has finished yet.',
    value: (backend) => flag(backend.health === 'healthy' || backend.health === 'unchecked'),
  },
  {
    name: 'spillway_backend_agreed_healthy',
    type: 'gauge',
    help: '1: healthy, or not checked, as the nodes agree: spillway_backend_healthy is this node alone.',
    value: (backend) => flag(backend.agreedHealth === 'healthy' || backend.agreedHealth === 'unchecked'),
  },
  {
    name: 'spillway_backend_up',
    type: 'gauge',
    help: '1: takes packets.',
    value: (backend) => flag(backend.up),
  },
  {
    name: 'spillway_backend_weight',
    type: 'gauge',
    help: 'Configured weight, 0 to 100; 0 drains.',
    value: (backend) => backend.weight,
  },
  {
    name: 'spillway_backend_check_duration_seconds',
    type: 'gauge',
    help: 'How long the last health check took.',
    value: (backend) => (backend.lastCheckUs === null ? null : backend.lastCheckUs / 1e6),
  },
];

/** No labels. */
export const nodeFamilies: readonly Family<Status>[] = [
  {
    name: 'spillway_config_version',
    type: 'gauge',
    help: 'Version of the desired state in force; 0: nothing was applied yet.',
    value: (status) => status.configVersion,
  },
  {
    name: 'spillway_config_applied_timestamp_seconds',
    type: 'gauge',
    help: 'When the desired state in force was applied.',
    value: (status) => seconds(status.configAppliedAtMs),
  },
  {
    name: 'spillway_problems',
    type: 'gauge',
    help: 'Things that keep this node from serving as configured; spillway status lists them.',
    value: (status) => status.problems.length,
  },
  {
    name: 'spillway_session_table_slots',
    type: 'gauge',
    help: 'Sessions that the table has room for.',
    value: (status) => status.sessionTable.slots,
  },
  {
    name: 'spillway_sessions_counted_timestamp_seconds',
    type: 'gauge',
    help: 'When the live sessions were last counted.',
    value: (status) => seconds(status.sessionTable.countedAtMs),
  },
  {
    name: 'spillway_reconcile_runs_total',
    type: 'counter',
    help: 'Comparisons of the kernel with the desired state.',
    value: (status) => status.reconciliation.runs,
  },
  {
    name: 'spillway_reconcile_repairs_total',
    type: 'counter',
    help: 'Entries of the kernel found different from what they should be, and repaired.',
    value: (status) => status.reconciliation.repairs,
  },
  {
    name: 'spillway_reconcile_failures_total',
    type: 'counter',
    help: 'Comparisons or repairs that failed.',
    value: (status) => status.reconciliation.failures,
  },
  {
    name: 'spillway_reconcile_last_timestamp_seconds',
    type: 'gauge',
    help: 'When the kernel was last compared with the desired state.',
    value: (status) => seconds(status.reconciliation.lastAtMs),
  },
];
