import type { LimitStatus, Status } from '../api/port.js';
import { familyHeader, labelText, type Sample, type SampleType } from './text.js';

interface Owned {
  readonly owner: Readonly<Record<string, string>>;
  readonly limit: LimitStatus;
}

interface Family {
  readonly name: string;
  readonly type: SampleType;
  readonly help: string;
  readonly samples: (of: LimitStatus) => readonly Sample[];
}

const families: readonly Family[] = [
  {
    name: 'spillway_limit_max',
    type: 'gauge',
    help: 'Limits of new flows as configured; those that are not set are missing.',
    samples: ({ limits }) =>
      kindsOf({
        sessions: limits.sessions,
        new_sessions_per_second: limits.newSessionsPerSecond,
        bits_per_second: limits.bitsPerSecond,
        packets_per_second: limits.packetsPerSecond,
        new_sessions_per_second_per_source: limits.newSessionsPerSecondPerSource,
      }).filter(([, value]) => value !== 0),
  },
  {
    name: 'spillway_limit_now',
    type: 'gauge',
    help: 'What is limited: live sessions, and rates over the last second.',
    samples: (now) =>
      kindsOf({
        sessions: now.sessions,
        new_sessions_per_second: now.newSessionsPerSecond,
        bits_per_second: now.bitsPerSecond,
        packets_per_second: now.packetsPerSecond,
      }),
  },
  {
    name: 'spillway_limit_refused_packets_total',
    type: 'counter',
    help: 'Packets of new flows that the access list or a limit refused, by reason.',
    samples: ({ refused }) => Object.entries(refused).map(([reason, count]): Sample => [{ reason }, count]),
  },
];

function kindsOf(values: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(values).map(([limit, value]) => [{ limit }, value]);
}

/** Labels: load_balancer, listener (empty: of the LoadBalancer as a whole). Nothing where nothing is limited. */
export function limitText({ listeners, loadBalancers }: Pick<Status, 'listeners' | 'loadBalancers'>): string {
  const owned: Owned[] = [
    ...loadBalancers.map(({ loadBalancer, limit }) => ({
      owner: { load_balancer: loadBalancer, listener: '' },
      limit,
    })),
    ...listeners.flatMap(({ loadBalancer, listener, limit }) =>
      limit ? [{ owner: { load_balancer: loadBalancer, listener }, limit }] : [],
    ),
  ];
  return families.map((family) => familyText(family, owned)).join('');
}

function familyText({ name, type, help, samples }: Family, owned: readonly Owned[]): string {
  const lines = owned.flatMap(({ owner, limit }) =>
    samples(limit).map(([labels, value]) => `${name}${labelText({ ...owner, ...labels })} ${value}\n`),
  );
  return lines.length === 0 ? '' : familyHeader(name, type, help) + lines.join('');
}
