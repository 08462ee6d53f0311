import type { Kind } from './kinds.js';

/** What a case is to stay within: a share of the yardstick's time, or nanoseconds. */
export type Goal = { readonly ratio: number } | { readonly ns: number };

const established = { small: 0.4, large: 0.55 };

/**
 * Established sessions while they fit the caches (1k), and where the table's lines come from memory (1M); SYN at both;
 * what is not for a VIP. null: none was set.
 */
export function goalOf(kind: Kind, flows: number): Goal | null {
  const pick = (small: number, large: number): Goal | null =>
    flows === 1_000 ? { ratio: small } : flows === 1_000_000 ? { ratio: large } : null;
  switch (kind) {
    case 'tcp4-ack':
      return pick(0.35, 0.5);
    case 'tcp6-ack':
    case 'udp4':
    case 'udp6':
      return pick(established.small, established.large);
    case 'tcp4-syn':
    case 'tcp6-syn':
      return pick(0.5, 0.5);
    case 'miss4':
    case 'miss6':
      return { ns: 15 };
    default:
      return null;
  }
}

export function isMet(goal: Goal, { ratio, ns }: { ratio: number; ns: number }): boolean {
  return 'ratio' in goal ? ratio <= goal.ratio : ns <= goal.ns;
}
