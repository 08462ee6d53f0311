/**
 * A host on the nodes' network that means harm: it hears the group, and sends what nobody should believe. It is told
 * the nodes' key for one thing alone: to speak as a node that nobody admitted.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { sessionBucketSize, sessionDetailSize, sessionLogSize } from '../../src/abi/abi.generated.js';
import { SyncCore, SyncTable } from '../../src/dataplane/addon.js';
import { dictionary } from '../bench/sync/dictionary.js';
import { GROUP, KEY, PORT } from '../bench/sync/protocol.js';
import { Random } from '../support/random.js';

export const kinds = ['replayed', 'truncated', 'flipped', 'foreign', 'unadmitted', 'former', 'noise'] as const;
export type Kind = (typeof kinds)[number];
export type Sent = Readonly<Record<Kind, number>>;

export type Order = { readonly attack: number; readonly seed: number; readonly boot: string };

const [address = ''] = process.argv.slice(2);
const heard: Buffer[] = [];
const socket = createSocket({ type: 'udp4', reuseAddr: true });
socket.on('message', (datagram) => heard.push(datagram));
socket.bind(PORT);
await once(socket, 'listening');
socket.addMembership(GROUP, address);
socket.setMulticastInterface(address);
socket.setMulticastLoopback(false);

interface Speaker {
  readonly node: number;
  readonly boot: bigint;
  readonly key: typeof KEY;
  /** Of the first session. */
  readonly tag: bigint;
}

/** Datagrams as a node with that name and key makes them, with sessions of its own. */
async function spoken({ node, boot, key, tag }: Speaker): Promise<Buffer[]> {
  const buckets = 64;
  const memory = {
    sessions: new ArrayBuffer(buckets * sessionBucketSize),
    details: new ArrayBuffer(buckets * 4 * sessionDetailSize),
  };
  const log = new ArrayBuffer(sessionLogSize);
  const table = new SyncTable(memory);
  table.setDictionary(dictionary);
  table.setClock({ tick: 1000, monotonicNs: 0n, tickNs: 256_000_000 });
  await table.import(records(tag), node);
  const core = new SyncCore({ table, log, node, boot, keys: [key], recordsPerSecond: 1_000_000 });
  const tags = new BigUint64Array(memory.sessions);
  const entries = new BigUint64Array(log);
  for (let slot = 0; slot < buckets * 4; slot++) {
    if (tags[slot * 2] === 0n) continue;
    entries[16 + Number(entries[0]!)] = (BigInt(slot) << 32n) | (entries[0]! + 1n);
    entries[0]! += 1n;
  }
  const datagrams: Buffer[] = [];
  for (let ms = 1n; ms < 400n; ms += 1n) {
    for (const { datagram } of core.poll(ms * 1_000_000n)) datagrams.push(Buffer.from(datagram));
  }
  return datagrams;
}

/** Twenty established sessions, packed as on the wire. */
function records(tag: bigint): Uint8Array {
  const count = 20;
  const view = new DataView(new ArrayBuffer(8 + count * 24));
  view.setUint32(0, count, true);
  for (let i = 0; i < count; i++) {
    const at = 8 + i * 24;
    view.setBigUint64(at, tag * BigInt(2 * i + 1) * 0x9e37_79b9_7f4a_7c15n, true);
    view.setUint32(at + 8, dictionary.serviceWire[1]!, true);
    view.setUint32(at + 12, dictionary.backendWire[1 + (i % 16)]!, true);
    view.setUint32(at + 16, 0x0a0b0c00 + i);
    view.setUint16(at + 20, 4000 + i);
    view.setUint8(at + 22, 2);
  }
  return new Uint8Array(view.buffer);
}

async function attack({ attack: count, seed, boot }: Order): Promise<Sent> {
  const random = new Random(seed);
  const genuine = heard.filter((datagram) => datagram.length > 200);
  const former = { node: 1, boot: BigInt(boot) - 1000n, key: KEY, tag: 3n };
  const spoofed = {
    foreign: await spoken({ ...former, boot: BigInt(boot), key: { id: KEY.id, key: Buffer.alloc(32, 9) } }),
    unadmitted: await spoken({ ...former, node: 99, tag: 5n }),
    former: await spoken(former),
  };
  for (const made of [genuine, ...Object.values(spoofed)]) if (made.length === 0) throw new Error('nothing to send');
  const sent = Object.fromEntries(kinds.map((kind) => [kind, 0])) as Record<Kind, number>;
  const make = (kind: Kind): Buffer => {
    switch (kind) {
      case 'replayed':
        return random.pick(genuine);
      case 'truncated': {
        const whole = random.pick(genuine);
        return whole.subarray(0, random.below(whole.length));
      }
      case 'flipped': {
        const flipped = Buffer.from(random.pick(genuine));
        // An odd number of flips of distinct bits never undo each other.
        const at = random.below(flipped.length);
        flipped[at]! ^= 1 << random.below(8);
        if (random.chance(0.5)) flipped[(at + 1 + random.below(flipped.length - 1)) % flipped.length]! ^= 1;
        return flipped;
      }
      case 'noise':
        return random.bytes(random.chance(0.02) ? 4000 : random.below(200));
      default:
        return random.pick(spoofed[kind]);
    }
  };
  for (let n = 0; n < count; n++) {
    const kind = random.pick(kinds);
    const datagram = make(kind);
    await new Promise<void>((resolve, reject) =>
      socket.send(datagram, PORT, GROUP, (error) => (error ? reject(error) : resolve())),
    );
    sent[kind]++;
    // At a rate that a receive buffer holds while its reader has no core.
    if (n % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 4));
  }
  return sent;
}

process.on('message', (order: Order) => {
  attack(order).then(
    (sent) => process.send!({ sent }),
    (error: Error) => process.send!({ error: error.message }),
  );
});
process.on('disconnect', () => process.exit());
process.send!({ ready: true });
