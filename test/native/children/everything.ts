/** Uses every object of the addon at once, closes none of them, and keeps events coming if asked to. */
import { parentPort, threadId, workerData } from 'node:worker_threads';
import { BpfObject, NetlinkSocket, Prober, RingReader, sweepSessions } from '../../../src/dataplane/addon.js';
import { objectPath } from '../fixture.js';
import { dumpLinks } from '../netlink-messages.js';
import { LOOPBACK, request } from '../probe-fixture.js';
import { engineNode } from '../sync-engine-fixture.js';
import { packRecords } from '../sync-fixture.js';

const { keepAlive } = workerData as { keepAlive: boolean };
const object = BpfObject.load(objectPath('sample'));
const words = new Uint32Array(object.map('mapped').mmap());
const program = object.program('emit');
const frame = new Uint8Array(64).fill(100);

let records = 0;
const ring = new RingReader(object.map('events'), {}, (_, count) => {
  records += count;
});
let datagrams = 0;
const netlink = new NetlinkSocket([1], () => {
  datagrams++;
});
let results = 0;
const prober = new Prober((batch) => {
  results += batch.length;
});

/* An address for each worker: several run at once, and one port is one engine's. */
const where = {
  interface: 'lo',
  address: `127.83.${threadId % 250}.${1 + (process.pid % 250)}`,
  group: null,
  port: 47_901,
};
const sync = engineNode(1, { ...where, peers: [where.address] });
let messages = 0;
const records8 = packRecords([{ tag: 5n, service: 1, backend: 1, state: 2, age: 0 }]);

function stir(round: number): void {
  program.testRun({ data: frame });
  netlink.send(dumpLinks(round));
  words[0] = round;
  const sweep = { nowTick: 0, timeouts: new Uint16Array(4), expire: false, purgeBackends: null, purgeServices: null };
  void sweepSessions({ ...sweep, sessions: new ArrayBuffer(1 << 20) });
  sync.establish(round % 256, BigInt(round + 1));
  sync.engine.control(Uint8Array.of(1), { address: where.address, port: where.port });
  messages += sync.heard().length;
  sync.events.length = 0;
  void sync.store.table.digest(16);
  void sync.store.table.import(records8, 1);
  void sync.store.table.export({ cursor: 0, limit: 100, ranges: 1, wanted: null });
  // Nobody listens on port 1; the udp probe is under way when the worker is stopped.
  prober.start([request(2 * round, 1)]);
  if (keepAlive) prober.start([request(2 * round + 1, 9, { address: LOOPBACK, kind: 'udp', receive: 1 })]);
}

let round = 0;
stir(round);
if (keepAlive) {
  let reported = false;
  setInterval(() => {
    stir(++round);
    if (reported || records === 0 || datagrams === 0 || results === 0) return;
    reported = true;
    parentPort?.postMessage(records);
  }, 1);
  parentPort?.on('message', () => parentPort?.postMessage(records));
}
// In use until the end: collected owners would stop their threads before.
process.on('exit', () => [ring, netlink, prober, object, sync, messages].length);
