import type * as message from '../api/generated/messages.generated.js';
import { type Limits, noLimits } from './desired.js';
import type { At } from './rules.js';

/** What the data plane counts with. */
const maxCount = 0xffff_ffff;
/** 10 Tb/s. */
const maxBits = 10_000_000_000_000;

/** 0 everywhere, and nothing at all: no limit. */
export function readLimits(from: message.Limits | null, at: At): Limits {
  if (from === null) return noLimits;
  const limits: Limits = {
    newSessionsPerSecond: bounded(from.newSessionsPerSecond, maxCount, inside(at, 'newSessionsPerSecond')),
    sessions: bounded(from.sessions, maxCount, inside(at, 'sessions')),
    bitsPerSecond: bounded(Number(from.bitsPerSecond), maxBits, inside(at, 'bitsPerSecond')),
    packetsPerSecond: bounded(Number(from.packetsPerSecond), maxCount, inside(at, 'packetsPerSecond')),
    newSessionsPerSecondPerSource: bounded(
      from.newSessionsPerSecondPerSource,
      maxCount,
      inside(at, 'newSessionsPerSecondPerSource'),
    ),
  };
  return Object.values(limits).every((limit) => limit === 0) ? noLimits : limits;
}

function inside({ path, violations }: At, field: string): At {
  return { path: `${path}.${field}`, violations };
}

function bounded(value: number, max: number, { path, violations }: At): number {
  if (value > max) violations.add(path, `${value} is not within 1 to ${max} (0: no limit)`);
  return value;
}
