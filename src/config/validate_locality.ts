import type * as message from '../api/generated/messages.generated.js';
import type { Locality } from './desired.js';
import { type At, rangeOr } from './rules.js';

const unsetMinimumHealthyPercent = 70;

/** null where no zone is preferred. */
export function readLocality(from: message.Locality | null, { path, violations }: At): Locality | null {
  if (from === null) return null;
  const { otherZonesWeightPercent } = from;
  const minimumHealthyPercent = rangeOr(
    from.minimumHealthyPercent,
    { min: 1, max: 100, unset: unsetMinimumHealthyPercent },
    { path: `${path}.minimumHealthyPercent`, violations },
  );
  if (otherZonesWeightPercent > 100) {
    violations.add(
      `${path}.otherZonesWeightPercent`,
      `${otherZonesWeightPercent} is not within 0 to 100 (0: other zones have only what the own zone lacks)`,
    );
  }
  if (from.preferOwnZone) return { minimumHealthyPercent, otherZonesWeightPercent };
  for (const field of ['minimumHealthyPercent', 'otherZonesWeightPercent'] as const) {
    if (from[field] === 0) continue;
    violations.add(
      `${path}.${field}`,
      'says how the own zone is preferred, which it is not: set preferOwnZone, or leave this out',
    );
  }
  return null;
}
