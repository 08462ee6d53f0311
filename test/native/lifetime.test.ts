import { readdirSync, readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { runChild, waitUntil } from './fixture.js';

const everything = new URL('children/everything.js', import.meta.url);

const descriptors = () => readdirSync('/proc/self/fd').length;
const threads = () => readdirSync('/proc/self/task').length;
const mappings = () => readFileSync('/proc/self/maps', 'utf8').split('bpf-map').length - 1;

/** A worker that has every object of the addon in use, with events under way. */
async function busyWorker(): Promise<Worker> {
  const worker = new Worker(everything, { workerData: { keepAlive: true } });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  return worker;
}

test.serial('workers that are terminated in the middle leave no thread, descriptor or mapping', async (t) => {
  await (await busyWorker()).terminate();
  await waitUntil(() => mappings() === 0, 'no mapping');
  const [files, tasks] = [descriptors(), threads()];
  for (let round = 0; round < 20; round++) await (await busyWorker()).terminate();
  await waitUntil(() => threads() <= tasks, `${tasks} threads`);
  await waitUntil(() => descriptors() <= files, `${files} descriptors`);
  t.is(mappings(), 0);
});

test.serial('workers that end by themselves with everything open end at once', async (t) => {
  const [files, tasks] = [descriptors(), threads()];
  for (let round = 0; round < 20; round++) {
    const worker = new Worker(everything, { workerData: { keepAlive: false } });
    const code = await new Promise((resolve) => worker.once('exit', resolve));
    t.is(code, 0);
  }
  await waitUntil(() => threads() <= tasks, `${tasks} threads`);
  await waitUntil(() => descriptors() <= files, `${files} descriptors`);
});

test.serial('several workers at once do not disturb each other', async (t) => {
  const workers = await Promise.all(Array.from({ length: 4 }, busyWorker));
  await workers[0]!.terminate();
  const alive = await Promise.all(
    workers.slice(1).map((worker) => {
      worker.postMessage('report');
      return new Promise<number>((resolve) => worker.once('message', resolve));
    }),
  );
  for (const records of alive) t.true(records > 0);
  await Promise.all(workers.map((worker) => worker.terminate()));
});

test('a process ends with readers, sockets and an idle prober open', async (t) => {
  t.deepEqual(await runChild('exit', { args: ['idle'] }), { ended: 'idle' });
});

test('a process waits for the probes under way, and not for cancelled ones', async (t) => {
  t.deepEqual(await runChild('exit', { args: ['probing'] }), { ended: 'probing', error: null });
  t.deepEqual(await runChild('exit', { args: ['cancelled'] }), { ended: 'cancelled' });
});

test('process.exit does not wait for anything', async (t) => {
  t.deepEqual(await runChild('exit', { args: ['abrupt'] }), { ended: 'abrupt' });
});

test('what is collected closes its descriptors, and a buffer keeps its mapping without its map', async (t) => {
  t.deepEqual(await runChild('collect', { flags: ['--expose-gc'] }), {
    descriptorsLeft: 0,
    threadsLeft: 0,
    mappedWithBuffer: 1,
    stillReadable: 42,
    mappedWithout: 0,
    sameBuffer: true,
  });
});
