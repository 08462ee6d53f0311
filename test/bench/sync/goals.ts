import type { Case, TransferCase } from './cases.js';

/** What synchronisation is to reach on the machine that it is developed on. */
export const GOALS = {
  perSecond: 150_000,
  peers: 2,
  share100: 0.999,
  bytesPerSession: 40,
  transferSessions: 1_000_000,
  transferSeconds: 3,
} as const;

export interface Goal {
  readonly goal: string;
  readonly seen: string;
  readonly met: boolean;
}

/** A goal that this run has no case of is left out. */
export function goalsOf(cases: readonly Case[], transfers: readonly TransferCase[]): Goal[] {
  const goals: Goal[] = [];
  const fast = cases.filter(({ nodes, wanted }) => nodes > GOALS.peers && wanted === GOALS.perSecond);
  for (const { clients, lossPercent, perSecond, receivers, bytesPerSession } of fast) {
    const missing = Math.max(...receivers.map(({ missingAfterRepair }) => missingAfterRepair));
    const where = lossPercent === 0 ? clients : `${clients}, ${lossPercent} % lost`;
    goals.push({ goal: `all there after repair (${where})`, seen: `${missing} missing`, met: missing === 0 });
    if (lossPercent > 0) continue;
    const least = Math.min(...receivers.map(({ share100 }) => share100));
    goals.push(
      {
        goal: `${GOALS.perSecond} sessions/s of ${clients} clients to ${GOALS.peers} peers, 99.9 % within 100 ms`,
        seen: `${Math.round(perSecond)}/s, ${(100 * least).toFixed(2)} %`,
        // The driver is held back a little where a core is busy.
        met: perSecond >= 0.99 * GOALS.perSecond && least >= GOALS.share100,
      },
      {
        goal: `at most ${GOALS.bytesPerSession} bytes a session on the wire (${clients})`,
        seen: bytesPerSession.toFixed(1),
        met: bytesPerSession <= GOALS.bytesPerSession,
      },
    );
  }
  for (const { clients, wanted, milliseconds, differingRanges } of transfers) {
    if (wanted !== GOALS.transferSessions) continue;
    goals.push({
      goal: `${wanted} sessions of ${clients} clients transferred within ${GOALS.transferSeconds} s`,
      seen: `${(milliseconds / 1000).toFixed(2)} s, ${differingRanges} ranges differ`,
      met: milliseconds <= 1000 * GOALS.transferSeconds && differingRanges === 0,
    });
  }
  return goals;
}
