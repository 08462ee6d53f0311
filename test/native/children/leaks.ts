/**
 * For the leak check of scripts/test-asan: uses the addon in ways that allocate, in this thread and in workers that
 * are terminated, and ends by itself, so that node frees its environment and what is left was leaked.
 */
import { Worker } from 'node:worker_threads';
import { BpfObject, Prober, queryXdp, sweepSessions } from '../../../src/dataplane/addon.js';
import { objectPath } from '../fixture.js';
import { request } from '../probe-fixture.js';
import { engineNode } from '../sync-engine-fixture.js';
import { data, FROM, makeCore, makeTable, TestLog } from '../sync-fixture.js';

for (let round = 0; round < 5; round++) {
  const worker = new Worker(new URL('everything.js', import.meta.url), { workerData: { keepAlive: true } });
  await new Promise((resolve) => worker.once('message', resolve));
  await worker.terminate();
}

for (const name of ['refused', 'absent']) {
  try {
    BpfObject.load(objectPath(name));
  } catch {
    // as intended: what a failure allocates is what the check looks at
  }
}
const object = BpfObject.load(objectPath('sample'), { rodata: { big: new Uint8Array(8) } });
object.map('table').entries();
object.map('mapped').mmap();
object.map('counters').sumRange(0, 100);
object.program('emit').testRun({ data: new Uint8Array(64).fill(50) });
queryXdp(1);
const sweep = { nowTick: 0, timeouts: new Uint16Array(4), expire: true, purgeBackends: null, purgeServices: null };
await sweepSessions({ ...sweep, sessions: new ArrayBuffer(4096) });
const { table } = makeTable();
const core = makeCore({ table, log: new TestLog().buffer });
core.admit(2, 1n);
core.receive(data({ node: 2, sequence: 1n }, [{ tag: 5n, service: 1, backend: 1, state: 2, age: 0 }]), FROM, 0n);
core.poll(1n);
await table.digest(4);
for (const port of [47_911, 47_911]) {
  const { engine } = engineNode(1, {
    interface: 'lo',
    address: '127.83.0.1',
    group: null,
    port,
    peers: ['127.83.0.2'],
  });
  engine.control(new Uint8Array(1), null);
  engine.close();
}
let prober: Prober | null = null;
await new Promise<void>((resolve) => {
  prober = new Prober(() => resolve());
  prober.start([request(1, 1, { send: new Uint8Array(100), receive: 100, until: new Uint8Array(4) })]);
});
// Not collected before it had its result.
(prober as Prober | null)?.close();
