import type { Kind } from './options.js';

/**
 * The largest allowed share of the yardstick's time, or null where none was set. Established sessions: 0.40 while
 * they fit the caches (1k), 0.55 where the table's lines come from memory (1M); SYN: 0.50.
 */
export function goalOf(kind: Kind, flows: number): number | null {
  switch (kind) {
    case 'tcp4-ack':
    case 'tcp6-ack':
      return flows === 1_000 ? 0.4 : flows === 1_000_000 ? 0.55 : null;
    case 'tcp4-syn':
      return flows === 1_000 ? 0.5 : null;
    case 'udp4':
      return null;
  }
}
