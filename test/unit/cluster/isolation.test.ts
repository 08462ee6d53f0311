import test from 'ava';
import { isIsolated } from '../../../src/cluster/isolation.js';
import type { Peer } from '../../../src/cluster/types.js';

const gone = [{ state: 'Active', sinceMs: 100_000, bfd: 'up' }];
const peer = (fields: Partial<Peer>): Peer => ({ alive: false, lastHeardMs: 100_000, ...fields }) as Peer;

test('a node whose peers and routers went together is cut off', (t) => {
  t.true(isIsolated(gone, [peer({ lastHeardMs: 96_000 }), peer({ lastHeardMs: 1000 })]));
  t.false(isIsolated(gone, [peer({}), peer({ alive: true })]));
});

test('the last node is not cut off when its only router goes: peers that left or died before do not count', (t) => {
  t.false(isIsolated(gone, [peer({ lastHeardMs: 90_000 })]));
  t.false(isIsolated(gone, [peer({ saidGoodbye: true })]));
});

test('without BFD a router is missed long after the cut', (t) => {
  t.true(isIsolated([{ state: 'Active', sinceMs: 300_000, bfd: 'off' }], [peer({ lastHeardMs: 100_000 })]));
});
