/** A running engine under fire: 100,000 datagrams that mean harm change nothing, are all counted, and it goes on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { buildDriver } from '../bench/driver.js';
import { Bed } from '../bench/sync/bed.js';
import { offerSessions } from '../bench/sync/offer.js';
import type { Reading } from '../bench/sync/protocol.js';
import { until } from '../support/lab/until.js';
import { Random } from '../support/random.js';
import type { Order, Sent } from './sync_stranger.js';

const COUNT = 100_000;

/** What a kernel's buffer lost on a busy machine was never received, and is nobody's to count. */
const RECEIVED = 0.9;

const drops = ({ counters }: Reading): Record<string, number> =>
  Object.fromEntries(Object.entries(counters).filter(([name]) => name.startsWith('dropped')));
const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((a, b) => a + b, 0);

async function ask(stranger: ChildProcess, order: Order): Promise<Sent> {
  stranger.send(order);
  const [answer] = (await once(stranger, 'message')) as [{ sent?: Sent; error?: string }];
  if (answer.sent === undefined) throw new Error(`the stranger: ${answer.error}`);
  return answer.sent;
}

test.serial(
  '100,000 malformed, replayed, damaged and foreign datagrams change no table, no peer, and are counted',
  async (t) => {
    t.timeout(120_000);
    await buildDriver();
    const bed = await Bed.open({ nodes: 2, sessions: 40_000, unicast: false, recordsPerSecond: 1_000_000 });
    const host = await bed.addHost(9);
    const entry = fileURLToPath(new URL('sync_stranger.js', import.meta.url));
    const [file, words] = host.command(process.execPath, entry, '10.77.0.9');
    const stranger = spawn(file, [...words], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    try {
      await once(stranger, 'message');
      const [sender, peer] = bed.nodes as [Bed['nodes'][0], Bed['nodes'][0]];
      const job = { sender, peers: [peer], v6: false };
      const [before] = (await offerSessions(job, { rate: 5000, seconds: 1 })).peers;
      t.deepEqual([before!.missing, before!.wrongBackend], [0, 0]);
      const tables = () => Promise.all([sender.digest(), peer.digest()]);
      const readings = () => Promise.all([sender.read(), peer.read()]);
      const tablesBefore = await tables();
      t.is(tablesBefore[0].sums, tablesBefore[1].sums);
      t.true(tablesBefore[0].sessions > 4900);
      const was = await readings();

      const { seed } = new Random();
      t.log(`seed ${seed}`);
      const sent = await ask(stranger, { attack: COUNT, seed, boot: sender.started!.boot });
      const total = sum(sent);
      t.is(total, COUNT);
      await until('the last of them has been looked at', async () => {
        const now = await readings();
        return now.every((one, i) => sum(drops(one)) - sum(drops(was[i]!)) >= RECEIVED * total);
      });
      const now = await readings();
      t.log(`sent ${JSON.stringify(sent)}`);

      t.deepEqual(await tables(), tablesBefore, 'no table has changed');
      for (const [i, reading] of now.entries()) {
        const name = `node ${i + 1}`;
        const old = was[i]!;
        const rise = (counter: keyof Reading['counters']): number => reading.counters[counter] - old.counters[counter];
        const dropped = Object.fromEntries(
          Object.entries(drops(reading)).map(([reason, count]) => [reason, count - drops(old)[reason]!]),
        );
        t.log(`${name} ${JSON.stringify(dropped)}`);
        const received = rise('datagramsReceived');
        const fromPeers = reading.peers.reduce((all, { datagrams }) => all + datagrams, 0);
        const fromPeersBefore = old.peers.reduce((all, { datagrams }) => all + datagrams, 0);
        const control = sum({ ...reading.control }) - sum({ ...old.control });
        t.is(received, sum(dropped) + (fromPeers - fromPeersBefore) + control, `${name}: each has been accounted for`);
        const close = (count: number, wanted: number): boolean => count >= RECEIVED * wanted && count <= wanted;
        t.true(
          close(
            dropped['droppedMalformed']! + dropped['droppedVersion']! + dropped['droppedUnauthenticated']!,
            sent.truncated + sent.flipped + sent.foreign + sent.noise,
          ),
          name,
        );
        // Node 1 itself takes what a former start of it said for a stranger's, the others for what it is.
        t.true(
          close(
            dropped['droppedReplayed']! + dropped['droppedUnadmitted']!,
            sent.replayed + sent.unadmitted + sent.former,
          ),
          name,
        );
        t.true(dropped['droppedUnadmitted']! >= RECEIVED * sent.unadmitted, name);
        for (const counter of [
          'recordsApplied',
          'recordsReceived',
          'recordsUnknown',
          'missed',
          'repaired',
          'givenUp',
          'retransmitted',
        ] as const)
          t.is(rise(counter), 0, `${name}: ${counter}`);
        t.is(reading.lost, 0, name);
        const known = (one: Reading) =>
          one.peers.map(({ node, records, missed, givenUp }) => ({ node, records, missed, givenUp }));
        t.deepEqual(known(reading), known(old), `${name}: its peers are who they were`);
      }

      const [after] = (await offerSessions(job, { rate: 5000, seconds: 1, first: 1_000_000 })).peers;
      t.deepEqual([after!.missing, after!.wrongBackend], [0, 0], 'it still replicates');
      const tablesAfter = await tables();
      t.is(tablesAfter[0].sums, tablesAfter[1].sums);
      t.true(tablesAfter[0].sessions > 9800);
    } finally {
      if (stranger.connected) stranger.disconnect();
      if (stranger.exitCode === null) await once(stranger, 'exit');
      await host.remove();
      await bed.close();
    }
  },
);
