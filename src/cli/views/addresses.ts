import type { messages } from '../../api/client.js';
import type { Palette } from '../format/color.js';
import { type Cell, formatTable } from '../format/table.js';
import { formatCount } from '../format/units.js';

/** What the protocol has for "that many or more". */
const uncountable = 2n ** 64n - 1n;

export function formatPools(pools: readonly messages.AddressPoolStatus[], paint: Palette): string {
  const rows = pools.flatMap(({ name, scope, families }) =>
    families.map((one): Cell[] => [
      name,
      scope,
      one.family,
      many(one.size),
      formatCount(one.given),
      formatCount(one.otherwise),
      one.free === 0n ? { text: '0', paint: paint.bad } : many(one.free),
    ]),
  );
  const columns = [
    { title: 'POOL' },
    { title: 'SCOPE' },
    { title: 'FAMILY' },
    { title: 'SIZE', align: 'right' },
    { title: 'GIVEN', align: 'right' },
    { title: 'OTHERWISE', align: 'right' },
    { title: 'FREE', align: 'right' },
  ] as const;
  return formatTable(columns, rows, paint.bold);
}

const uses: Readonly<Record<messages.HeldAddress['use'], string>> = {
  USE_UNSPECIFIED: 'unknown',
  GIVEN: 'given',
  EXPLICIT: 'in the document',
  BACKEND: 'backend',
};

export function formatHeld(pools: readonly messages.AddressPoolStatus[], paint: Palette): string {
  const rows = pools.flatMap(({ name, held }) =>
    held.map(({ address, holder, use }): Cell[] => [address, name, holder, uses[use]]),
  );
  return formatTable(
    [{ title: 'ADDRESS' }, { title: 'POOL' }, { title: 'HOLDER' }, { title: 'USE' }],
    rows,
    paint.bold,
  );
}

function many(count: bigint): string {
  return count >= uncountable ? '>= 2^64 - 1' : formatCount(count);
}
