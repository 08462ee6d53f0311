import { type LimitStatus, type Refused, refusalReasons } from '../api/port.js';
import type { CompiledLimit } from '../compile/limits.js';
import { type LimitMap, liveSessions } from '../dataplane/limits.js';
import type { LimitGauges } from './limit-gauge.js';
import type { SessionCounts } from './sweeper.js';

export interface LimitSources {
  readonly rows: LimitMap;
  readonly gauges: Pick<LimitGauges, 'ratesOf'>;
  readonly counts: SessionCounts | null;
}

/** Of each of these limits; the refusals of all are read at once. */
export function limitStatuses(
  limits: ReadonlyMap<number, CompiledLimit>,
  { rows, gauges, counts }: LimitSources,
): (id: number) => LimitStatus {
  const refusals = limits.size > 0 ? rows.refusals(Math.max(...limits.keys())) : () => [];
  return (id) => {
    const { limits: set, services } = limits.get(id)!;
    const counted = services.reduce((sum, service) => sum + (counts?.openByService[service] ?? 0), 0);
    return {
      limits: set,
      sessions: set.sessions > 0 ? Math.max(0, liveSessions(rows.row(id))) : counted,
      ...gauges.ratesOf(id),
      refused: refusedOf(refusals(id)),
    };
  };
}

function refusedOf(counts: readonly bigint[]): Refused {
  return Object.fromEntries(refusalReasons.map((reason, i) => [reason, counts[i] ?? 0n])) as Refused;
}
