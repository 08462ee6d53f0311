/** Ends in the way asked for, with everything open; it hangs if the addon keeps the process. */
import { writeSync } from 'node:fs';
import { BpfObject, NetlinkSocket, Prober, RingReader } from '../../../src/dataplane/addon.js';
import { objectPath } from '../fixture.js';
import { dumpLinks } from '../netlink-messages.js';
import { LOOPBACK, request } from '../probe-fixture.js';

const how = process.argv[2];
const object = BpfObject.load(objectPath('sample'));
const ring = new RingReader(object.map('events'), {}, () => {});
const netlink = new NetlinkSocket([1], () => {});
const report: Record<string, unknown> = { ended: how };
const prober = new Prober(([result]) => {
  report['error'] = result?.error;
});
process.on('exit', () => {
  writeSync(1, JSON.stringify(report));
  return [ring, netlink, prober].length;
});

// Port 9 of an address of loopback that nobody uses: a udp probe without a reply is silent for its whole timeout.
const silent = request(1, 9, { address: LOOPBACK, kind: 'udp', mark: 0, timeoutMs: 60_000, receive: 1 });
if (how === 'probing') {
  const { createSocket } = await import('node:dgram');
  const socket = createSocket('udp4').bind(0, '127.0.0.1', () => {
    prober.start([request(1, socket.address().port, { kind: 'udp', timeoutMs: 300 })]);
    socket.unref();
  });
}
if (how === 'cancelled') {
  prober.start([silent]);
  prober.cancel([1]);
}
if (how === 'abrupt') {
  for (let round = 0; round < 50; round++) {
    netlink.send(dumpLinks(round));
    object.program('emit').testRun({ data: new Uint8Array(64).fill(200) });
    prober.start([{ ...silent, id: 100 + round }]);
  }
  process.exit(0);
}
