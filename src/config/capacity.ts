import { CapacityError } from '../base/errors.js';
import type { Desired } from './desired.js';

/** Over all lists, used or not. @throws CapacityError */
export function checkAccessListEntries({ accessLists }: Desired, limit: number): void {
  const wanted = accessLists.reduce((sum, { entries }) => sum + entries.length, 0);
  if (wanted > limit) throw new CapacityError('limits.accessListEntries', limit, wanted);
}
