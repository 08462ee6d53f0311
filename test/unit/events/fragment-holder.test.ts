import test from 'ava';
import type { EarlyFragment } from '../../../src/events/early-fragments.js';
import { type FragmentEnd, FragmentHolder } from '../../../src/events/fragment-holder.js';

/** Time that passes when it is told to. */
class Clock {
  nowMs = 0;
  #alarms: { atMs: number; run: () => void }[] = [];

  monotonicMs = (): number => this.nowMs;

  after = (delayMs: number, run: () => void): (() => void) => {
    const alarm = { atMs: this.nowMs + delayMs, run };
    this.#alarms.push(alarm);
    return () => {
      this.#alarms = this.#alarms.filter((one) => one !== alarm);
    };
  };

  get waiting(): number {
    return this.#alarms.length;
  }

  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const next = this.#alarms.sort((a, b) => a.atMs - b.atMs)[0];
      if (!next || next.atMs > untilMs) break;
      this.#alarms.shift();
      this.nowMs = next.atMs;
      next.run();
    }
    this.nowMs = untilMs;
  }
}

function holding(options: { refuses?: boolean } = {}) {
  const clock = new Clock();
  const known = new Set<bigint>();
  const sent: EarlyFragment[] = [];
  const ends: FragmentEnd[] = [];
  const refusals: unknown[] = [];
  let looks = 0;
  const holder = new FragmentHolder({
    isKnown: (tag) => {
      looks++;
      return known.has(tag);
    },
    send: (fragment) => {
      if (options.refuses) throw new Error('EINVAL');
      sent.push(fragment);
    },
    onEnd: (end) => ends.push(end),
    onRefused: (error) => refusals.push(error),
    clock,
  });
  return { clock, known, sent, ends, refusals, holder, looks: () => looks };
}

const fragment = (tag: bigint, byte = 0): EarlyFragment => ({
  tag,
  ifindex: 3,
  queue: 1,
  frame: Uint8Array.of(byte),
});

test('what has its first fragment by now is sent at once', (t) => {
  const { holder, known, sent, ends, clock } = holding();
  known.add(1n);
  holder.take([fragment(1n)]);
  t.deepEqual(sent, [fragment(1n)]);
  t.deepEqual(ends, ['sent']);
  t.is(clock.waiting, 0, 'nothing is looked at any more');
});

test('what has not waits, and goes in the order in which it came', (t) => {
  const { holder, known, sent, clock } = holding();
  holder.take([fragment(1n, 5), fragment(2n, 6)]);
  holder.take([fragment(1n, 4)]);
  clock.pass(10);
  t.deepEqual(sent, []);
  known.add(1n);
  clock.pass(10);
  t.deepEqual(sent, [fragment(1n, 5), fragment(1n, 4)]);
  t.is(holder.count, 1);
});

test('a second is the longest, whatever comes meanwhile', (t) => {
  const { holder, ends, clock } = holding();
  holder.take([fragment(1n)]);
  for (let n = 0; n < 10; n++) {
    clock.pass(99);
    holder.take([fragment(2n)]);
  }
  t.deepEqual(ends, []);
  clock.pass(15);
  t.deepEqual(ends, ['expired']);
  clock.pass(1100);
  t.is(holder.count, 0);
  t.is(clock.waiting, 0);
});

test('the longer one has waited, the more rarely it is looked at', (t) => {
  const { holder, clock, looks } = holding();
  holder.take([fragment(1n)]);
  clock.pass(2000);
  t.true(looks() < 25, `${looks()} looks`);
});

test('it comes soon after its first one, and late ones late at most by half of what they waited', (t) => {
  for (const afterMs of [1, 5, 20, 100, 600]) {
    const { holder, known, sent, clock } = holding();
    holder.take([fragment(1n)]);
    clock.pass(afterMs);
    known.add(1n);
    clock.pass(afterMs / 2 + 6);
    t.is(sent.length, 1, `${afterMs} ms`);
  }
});

test('no more than so many are held', (t) => {
  const { holder, ends } = holding();
  holder.take(Array.from({ length: 1030 }, (_, i) => fragment(BigInt(i))));
  t.is(holder.count, 1024);
  t.deepEqual(new Set(ends), new Set(['overflow']));
  t.is(ends.length, 6);
});

test('a kernel that takes none back is told of once', (t) => {
  const { holder, known, ends, refusals } = holding({ refuses: true });
  known.add(1n);
  holder.take([fragment(1n), fragment(1n)]);
  t.deepEqual(ends, ['failed', 'failed']);
  t.is(refusals.length, 1);
});

test('closed, it gives up what it holds', (t) => {
  const { holder, known, sent, clock } = holding();
  holder.take([fragment(1n)]);
  holder.close();
  known.add(1n);
  clock.pass(2000);
  t.deepEqual(sent, []);
});
