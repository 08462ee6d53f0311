/** A callback that throws, twice: the second batch arrives all the same. */
import { BpfObject, RingReader } from '../../../src/dataplane/addon.js';
import { objectPath } from '../fixture.js';

const object = BpfObject.load(objectPath('sample'));
const data = new Uint8Array(64).fill(1);
let batches = 0;
let uncaught = '';

const ring = new RingReader(object.map('events'), {}, () => {
  batches++;
  throw new Error('from the callback');
});
// Unreferenced readers don't keep the process: this does.
const alive = setInterval(() => {}, 1000);

process.on('uncaughtException', (error) => {
  uncaught = error.message;
  if (batches < 2) {
    object.program('emit').testRun({ data });
    return;
  }
  ring.close();
  clearInterval(alive);
  console.log(JSON.stringify({ uncaught, batches }));
});
object.program('emit').testRun({ data });
