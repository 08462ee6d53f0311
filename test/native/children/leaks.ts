/**
 * For the leak check of scripts/test-asan: uses the addon in ways that allocate, in this thread and in workers that
 * are terminated, and ends by itself, so that node frees its environment and what is left was leaked.
 */
import { Worker } from 'node:worker_threads';
import { BpfObject, Prober, queryXdp, sweepSessions } from '../../../src/dataplane/addon.js';
import { objectPath } from '../fixture.js';
import { request } from '../probe-fixture.js';

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
await new Promise<void>((resolve) => {
  const prober = new Prober(() => resolve());
  prober.start([request(1, 1, { send: new Uint8Array(100), receive: 100, until: new Uint8Array(4) })]);
});
