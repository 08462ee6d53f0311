/** Run with --expose-gc: drops owners without closing them. */
import { readdirSync, readFileSync } from 'node:fs';
import { BpfObject, NetlinkSocket, Prober, RingReader } from '../../../src/dataplane/addon.js';
import { objectPath, waitUntil } from '../fixture.js';

const descriptors = () => readdirSync('/proc/self/fd').length;
const threads = () => readdirSync('/proc/self/task').length;
const mappings = () => readFileSync('/proc/self/maps', 'utf8').split('bpf-map').length - 1;

function collect(): true {
  globalThis.gc?.();
  return true;
}

function useAndDrop(): void {
  const object = BpfObject.load(objectPath('sample'));
  const map = object.map('mapped');
  map.lookup(new Uint8Array(4));
  object.program('sum').testRun({ data: new Uint8Array(64) });
  new RingReader(object.map('events'), {}, () => {});
  new NetlinkSocket([], () => {});
  new Prober(() => {});
}

function mapAndDropTheMap(): { words: Uint32Array; same: boolean } {
  const map = BpfObject.load(objectPath('sample')).map('mapped');
  const buffer = map.mmap();
  return { words: new Uint32Array(buffer), same: map.mmap() === buffer };
}

useAndDrop();
collect();
await waitUntil(() => collect(), 'a first collection');
const [files, tasks] = [descriptors(), threads()];
for (let round = 0; round < 20; round++) useAndDrop();
await waitUntil(() => collect() && descriptors() <= files && threads() <= tasks, 'everything is closed');
const report = { descriptorsLeft: Math.max(0, descriptors() - files), threadsLeft: Math.max(0, threads() - tasks) };

let held: { words: Uint32Array; same: boolean } | null = mapAndDropTheMap();
await waitUntil(() => collect() && descriptors() <= files, 'the map is closed');
const mappedWithBuffer = mappings();
held.words[7] = 42;
const stillReadable = held.words[7];
const sameBuffer = held.same;
held = null;
await waitUntil(() => collect() && mappings() === 0, 'the mapping is gone');
console.log(JSON.stringify({ ...report, mappedWithBuffer, stillReadable, mappedWithout: mappings(), sameBuffer }));
