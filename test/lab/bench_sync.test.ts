/** That `bench -- sync` still measures: two peers at a rate that a busy machine has, and a small transfer. */
import test from 'ava';
import { buildDriver } from '../bench/driver.js';
import { runCase, runTransfer } from '../bench/sync/cases.js';

const options = { json: false, rates: [], seconds: 1, peers: [], transfer: 0, losses: [], unicast: false };

test.serial('sessions of one node reach two peers, whole and by the bytes that they are allowed', async (t) => {
  t.timeout(60_000);
  await buildDriver();
  for (const v6 of [false, true]) {
    const one = await runCase({ nodes: 3, rate: 20_000, v6 }, options);
    t.log(JSON.stringify(one));
    t.true(one.offered > 19_000);
    t.is(one.receivers.length, 2);
    for (const { samples, found, missingAfterRepair, cpuMsPer100k } of one.receivers) {
      t.true(samples > 1000 && found > 0);
      t.is(missingAfterRepair, 0);
      t.true(cpuMsPer100k > 0);
    }
    t.true(one.bytesPerSession > (v6 ? 36 : 24) && one.bytesPerSession < 60, `${one.bytesPerSession}`);
  }
});

test.serial('what a network loses is asked for again, until all is there', async (t) => {
  t.timeout(60_000);
  await buildDriver();
  const { receivers, sender } = await runCase({ nodes: 3, rate: 20_000, v6: false, loss: 10 }, options);
  for (const { missedDatagrams, repairedDatagrams, missingAfterRepair } of receivers) {
    t.true(missedDatagrams > 20 && repairedDatagrams > 0.9 * missedDatagrams);
    t.is(missingAfterRepair, 0);
  }
  t.true(sender.retransmitted > 40);
});

test.serial('without multicast they go to each peer', async (t) => {
  t.timeout(60_000);
  await buildDriver();
  const one = await runCase({ nodes: 3, rate: 20_000, v6: false }, { ...options, unicast: true });
  for (const { missingAfterRepair } of one.receivers) t.is(missingAfterRepair, 0);
  t.true(one.bytesPerSession > 48, 'to two peers: twice the bytes');
});

test.serial('a table is transferred whole', async (t) => {
  t.timeout(60_000);
  await buildDriver();
  const one = await runTransfer({ count: 50_000, v6: false });
  t.like(one, { records: 50_000, applied: 50_000, differingRanges: 0, missing: 0, wrongBackend: 0 });
  t.true(one.perSecond > 0 && one.megabytesPerSecond > 0);
});
