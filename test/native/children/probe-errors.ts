/** In a network namespace of its own, with a neighbour that answers "host unreachable" and few descriptors. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { type ProbeResult, Prober } from '../../../src/dataplane/addon.js';
import { waitUntil } from '../fixture.js';
import { request } from '../probe-fixture.js';

execFileSync('ip', ['link', 'set', 'lo', 'up']);
execFileSync('ip', ['link', 'add', 'nat0', 'type', 'veth', 'peer', 'name', 'nat1']);
execFileSync('ip', ['link', 'set', 'nat0', 'up']);
execFileSync('ip', ['link', 'set', 'nat1', 'up']);
execFileSync('ip', ['addr', 'add', '192.0.2.1/24', 'dev', 'nat0']);
// A neighbour that does not answer is declared unreachable after one question instead of three.
execFileSync('sysctl', ['-qw', 'net.ipv4.neigh.nat0.mcast_solicit=1', 'net.ipv4.neigh.nat0.retrans_time_ms=50']);

const results = new Map<number, ProbeResult>();
const prober = new Prober((batch) => {
  for (const result of batch) results.set(result.id, result);
});
const absent = Uint8Array.of(192, 0, 2, 9);
prober.start([
  request(1, 80, { address: absent }),
  request(2, 80, { address: absent, kind: 'udp' }),
  request(3, 80, { address: Uint8Array.of(198, 51, 100, 1) }),
]);
await waitUntil(() => results.size === 3, 'three results');

const files: number[] = [];
try {
  for (;;) files.push(openSync('/dev/null', 'r'));
} catch {
  // EMFILE: as intended
}
prober.start([request(4, 80)]);
await waitUntil(() => results.size === 4, 'the fourth result');
for (const fd of files) closeSync(fd);
prober.close();

const [tcp, udp, noRoute, manyFiles] = [1, 2, 3, 4].map((id) => results.get(id)!.error);
console.log(JSON.stringify({ tcp, udp, noRoute, manyFiles }));
