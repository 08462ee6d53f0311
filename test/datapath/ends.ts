/** What the tests of this folder say of one packet: how it ended, and that nothing else was counted. */
import type { ExecutionContext } from 'ava';
import type { Result } from '../support/data_path.js';
import type { Web } from './web.js';

/** The frame ends there for this reason, as it came, and nothing else is counted. */
export function endsFor(t: ExecutionContext, { lb }: Web, frame: Buffer, reason: string, what?: string): void {
  const before = lb.reasons();
  t.deepEqual(lb.run(frame), { verdict: reason.startsWith('PASS') ? 'PASS' : 'DROP', frame }, what);
  t.deepEqual(lb.reasons(), { ...before, [reason]: (before[reason] ?? 0) + 1 }, what);
}

/** The frame is answered, for this reason; what went out. */
export function answeredFor(t: ExecutionContext, { lb }: Web, frame: Buffer, reason: string): Buffer {
  const before = lb.reasons();
  const { verdict, frame: out }: Result = lb.run(frame);
  t.is(verdict, 'TX');
  t.deepEqual(lb.reasons(), { ...before, [reason]: (before[reason] ?? 0) + 1 });
  return out;
}
