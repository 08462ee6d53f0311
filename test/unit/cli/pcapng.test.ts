import test from 'ava';
import { interfaceBlock, packetBlock, sectionBlock } from '../../../src/cli/format/pcapng.js';

/** Type, body and the total length that ends a block again, as the format asks for. */
function blocks(file: Buffer): { type: number; body: Buffer }[] {
  const found = [];
  for (let at = 0; at < file.length; ) {
    const length = file.readUInt32LE(at + 4);
    if (length % 4 !== 0 || file.readUInt32LE(at + length - 4) !== length) throw new Error(`block at ${at}`);
    found.push({ type: file.readUInt32LE(at), body: file.subarray(at + 8, at + length - 4) });
    at += length;
  }
  return found;
}

function optionsOf(body: Buffer): Record<number, Buffer> {
  const found: Record<number, Buffer> = {};
  for (let at = 0; body.readUInt16LE(at) !== 0; ) {
    const length = body.readUInt16LE(at + 2);
    found[body.readUInt16LE(at)] = body.subarray(at + 4, at + 4 + length);
    at += 4 + length + (-length & 3);
  }
  return found;
}

test('a file: section, interface with nanoseconds, packets with their comments', (t) => {
  for (const size of [1, 2, 3, 4, 60, 1518]) {
    const data = Buffer.alloc(size, 7);
    const atNs = 1_700_000_000_123_456_789n;
    const comment = 'drop: no_listener (web/é)';
    const file = Buffer.concat([
      sectionBlock('spillway 1'),
      interfaceBlock('eth0', 256),
      packetBlock({ atNs, interface: 0, data, originalLength: 9000, comment }),
    ]);
    const [section, eth, packet] = blocks(file);
    t.is(section!.type, 0x0a0d0d0a);
    t.is(section!.body.readUInt32LE(0), 0x1a2b3c4d);
    t.is(optionsOf(section!.body.subarray(16))[4]!.toString(), 'spillway 1');
    t.is(eth!.type, 1);
    t.deepEqual([eth!.body.readUInt16LE(0), eth!.body.readUInt32LE(4)], [1, 256]);
    const options = optionsOf(eth!.body.subarray(8));
    t.deepEqual([options[2]!.toString(), options[9]![0]], ['eth0', 9]);
    t.is(packet!.type, 6);
    const { body } = packet!;
    t.is((BigInt(body.readUInt32LE(4)) << 32n) | BigInt(body.readUInt32LE(8)), atNs);
    t.deepEqual([body.readUInt32LE(12), body.readUInt32LE(16)], [size, 9000]);
    t.true(body.subarray(20, 20 + size).equals(data));
    t.is(optionsOf(body.subarray(20 + size + (-size & 3)))[1]!.toString(), comment);
  }
});

test('a packet without a comment has no options', (t) => {
  const [packet] = blocks(
    packetBlock({ atNs: 0n, interface: 3, data: Buffer.alloc(8), originalLength: 8, comment: '' }),
  );
  t.is(packet!.body.length, 28);
});
