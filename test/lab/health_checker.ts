/**
 * The load balancer of the health tests, in its namespace: the program `probe` on eth0 and the real engine. Prints
 * each change as a line of JSON, after a first line "attached". A line on standard input is JSON of
 * `{ id, entry }` and puts another entry into the map; the end of input ends it.
 *
 * Options: CheckerOptions.
 */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { BpfObject, detachTc, interfaceIndex, Prober } from '../../src/dataplane/addon.js';
import { systemClock } from '../../src/health/clock.js';
import { createHealthEngine } from '../../src/health/engine.js';
import { nodeTls } from '../../src/health/tls.js';
import type { CheckTarget } from '../../src/health/types.js';
import { type BackendEntry, encodeBackendEntry } from './health_entry.js';
import { readOptions } from './health_host.js';

export interface CheckerOptions {
  readonly entries: readonly (readonly [id: number, entry: BackendEntry])[];
  readonly targets: readonly CheckTarget[];
}

const options = readOptions<CheckerOptions>();
const handle = 1;
const priority = 1;

const path = fileURLToPath(new URL('../../bpf/probe.bpf.o', import.meta.url));
const object = BpfObject.load(path, { maxEntries: { backends_v2: 64 } });
const backends = object.map('backends_v2');
const eth0 = interfaceIndex('eth0')!;

function setEntry(id: number, entry: BackendEntry): void {
  backends.update(Uint8Array.from([id, 0, 0, 0]), encodeBackendEntry(entry));
}

for (const [id, entry] of options.entries) setEntry(id, entry);
object.program('probe').attachTc(eth0, 'egress', handle, priority);
const engine = createHealthEngine({
  prober: (onResults) => new Prober(onResults),
  tls: nodeTls(systemClock),
  clock: systemClock,
  random: Math.random,
  onChanges: (changes) => {
    for (const change of changes) console.log(JSON.stringify(change));
  },
});
engine.setTargets(options.targets);
console.log('attached');
for await (const line of createInterface({ input: process.stdin })) {
  const { id, entry } = JSON.parse(line) as { id: number; entry: BackendEntry };
  setEntry(id, entry);
}
engine.close();
detachTc(eth0, 'egress', handle, priority);
process.exit();
