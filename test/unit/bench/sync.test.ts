import test from 'ava';
import type { Case, Receiver, TransferCase } from '../../bench/sync/cases.js';
import { goalsOf } from '../../bench/sync/goals.js';
import { parseOptions } from '../../bench/sync/options.js';
import { renderReport } from '../../bench/sync/report.js';

const receiver: Receiver = {
  ...{ samples: 1000, within10: 990, within100: 1000, found: 1000 },
  ...{ p50Ms: 1.5, p99Ms: 9, p999Ms: 12, maxMs: 14, missing: 0, wrongBackend: 0 },
  ...{ share10: 0.99, share100: 1, missedDatagrams: 2, repairedDatagrams: 2, givenUpDatagrams: 0 },
  ...{ missingAfterRepair: 0, cpuMsPer100k: 80 },
};

const one: Case = {
  ...{
    clients: 'IPv4',
    nodes: 3,
    lossPercent: 0,
    wanted: 150_000,
    offered: 450_000,
    perSecond: 149_900,
    heldBackMs: 3,
  },
  receivers: [receiver, receiver],
  sender: { cpuMsPer100k: 60, datagrams: 9000, records: 450_000, rateLimited: 0, logOverruns: 0, retransmitted: 2 },
  ...{ bytesPerSession: 25.9, framesPerSession: 0.02 },
};

const transfer: TransferCase = {
  ...{ clients: 'IPv4', wanted: 1_000_000, milliseconds: 1100, records: 1_000_000, applied: 1_000_000 },
  ...{ differingRanges: 0, ranges: 4096, sessions: 1_000_000, perSecond: 909_090, megabytesPerSecond: 22 },
  ...{ missing: 0, wrongBackend: 0 },
};

const missed = (cases: readonly Case[], transfers: readonly TransferCase[]): string[] =>
  goalsOf(cases, transfers).flatMap(({ goal, met }) => (met ? [] : [goal.replace(/^\d+ /, '')]));

test('goals are judged by the peer that is behind, and by what is missing once all is repaired', (t) => {
  t.deepEqual(missed([one], [transfer]), []);
  const late = { ...receiver, share100: 0.998 };
  t.regex(missed([{ ...one, receivers: [receiver, late] }], [])[0]!, /99\.9 % within 100 ms/);
  t.is(missed([{ ...one, perSecond: 140_000 }], []).length, 1);
  t.regex(missed([{ ...one, receivers: [receiver, { ...receiver, missingAfterRepair: 1 }] }], [])[0]!, /after repair/);
  t.regex(missed([{ ...one, bytesPerSession: 40.1 }], [])[0]!, /bytes a session/);
  const lossy: Case = { ...one, lossPercent: 10, bytesPerSession: 50, receivers: [late, late] };
  t.deepEqual(missed([lossy], []), [], 'where datagrams are lost, what counts is that all is repaired');
  t.is(missed([{ ...lossy, receivers: [{ ...late, missingAfterRepair: 2 }] }], []).length, 1);
  t.is(missed([], [{ ...transfer, milliseconds: 3001 }]).length, 1);
  t.is(missed([], [{ ...transfer, differingRanges: 1 }]).length, 1);
});

test('what a run has no case of is no goal of it', (t) => {
  t.deepEqual(
    goalsOf(
      [
        { ...one, nodes: 2 },
        { ...one, wanted: 100_000 },
      ],
      [{ ...transfer, wanted: 1000 }],
    ),
    [],
  );
});

test('the table says never where samples did not come', (t) => {
  const host = { kernel: '6.18', cpu: 'a CPU', cores: 2 };
  const lost = { ...one, receivers: [{ ...receiver, p99Ms: null }] };
  const text = renderReport({
    host,
    cases: [lost],
    transfers: [transfer],
    goals: goalsOf([one], []),
    faults: ['torn'],
  });
  t.regex(text, /never/);
  t.regex(text, /0 of 4096/);
  t.regex(text, /fault: torn/);
});

test('rates, peers and transfer are as told', (t) => {
  t.deepEqual(parseOptions(['--rates', '150k,1M', '--peers', '2', '--no-transfer', '--unicast']), {
    ...{ json: false, rates: [150_000, 1_000_000], seconds: 3, peers: [2], transfer: 0, unicast: true },
    losses: [0, 1, 10],
  });
  t.like(parseOptions(['--quick', '--json']), { json: true, rates: [150_000], peers: [2], transfer: 100_000 });
  t.is(parseOptions([]).transfer, 1_000_000);
});
