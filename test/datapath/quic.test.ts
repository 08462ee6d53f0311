/** Scheduler QCH: QUIC packets go by the server id in their connection id, wherever they come from. */
import test from 'ava';
import { BackendFlags, backendOffset, backendSize } from '../../src/abi/abi.generated.js';
import { ipToBytes } from '../../src/base/ip.js';
import { flowTag } from '../../src/compile/fingerprint.js';
import type { Desired, QuicConfig } from '../../src/config/desired.js';
import type { SessionEntry } from '../../src/dataplane/session-table.js';
import { DataPath, lbMac } from '../support/data_path.js';
import { backend, desiredOf, group, listener, loadBalancer, macOf, seen, type World } from '../support/desired.js';
import { ethernet, ip4, ip6, vlan } from '../support/frame.js';
import { quicFallbackTag } from '../support/model/fingerprint.js';
import { connectionId, longHeader, shortHeader } from '../support/quic.js';
import { Random } from '../support/random.js';
import { udp } from '../support/transport.js';

const vip4 = '192.0.2.10';
const vip6 = '2001:db8:10::10';
const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const key = hex('8f95f09245765f80256934e50c66207f');
const plain: QuicConfig = { id: 0, serverIdLength: 2, nonceLength: 6, key: null };
const sealed: QuicConfig = { id: 2, serverIdLength: 2, nonceLength: 14, key };

interface Options {
  readonly configs?: readonly QuicConfig[];
  /** be1, be2...: server id in hex, and weight. null: not in the group. */
  readonly servers?: readonly (readonly [string, number] | null)[];
  readonly scheduler?: 'QCH' | 'TCH';
  readonly buckets?: number;
}

const threeServers = [
  ['0a01', 100],
  ['0a02', 100],
  ['0a03', 100],
] as const;

function desired({ configs = [plain, sealed], servers = threeServers, scheduler = 'QCH' }: Options): Desired {
  const quic = scheduler === 'QCH' ? configs : [];
  const members = servers.flatMap((server, i) => {
    if (!server) return [];
    const [id, weight] = server;
    return [{ ...backend(`be${i + 1}`, `203.0.113.${21 + i}`, weight), quicServerId: hex(id) }];
  });
  const quicListener = listener({ port: 443, protocol: 'udp', backendGroup: 'web', scheduler, quic });
  return desiredOf([loadBalancer('web', [vip4, vip6], [quicListener])], [group('web', 'L2_DSR', members)]);
}

interface From {
  readonly client?: number;
  readonly port?: number;
  readonly v6?: boolean;
}

class Quic {
  constructor(readonly lb: DataPath) {}

  async set(options: Options, world: World = {}): Promise<void> {
    const wanted = desired(options);
    await this.lb.apply(wanted, seen(wanted, world));
  }

  frame(datagram: Uint8Array, { client = 1, port = 40_000, v6 = false }: From = {}): Buffer {
    const payload = udp({ from: port, to: 443 }, datagram);
    const packet = v6
      ? ip6({ from: `2001:db8:100::${client.toString(16)}`, to: vip6 }, payload)
      : ip4({ from: `198.51.100.${client}`, to: vip4 }, payload);
    return ethernet({ to: lbMac }, packet);
  }

  run(frame: Buffer): string {
    const { verdict, frame: out } = this.lb.run(frame);
    if (verdict !== 'TX') return verdict;
    const mac = out.toString('hex', 0, 6).replace(/..(?=.)/g, '$&:');
    return [...this.lb.compiled!.backends.values()].find(({ backend: { address } }) => macOf(address) === mac)!.backend
      .name;
  }

  send(datagram: Uint8Array, from: From = {}): string {
    return this.run(this.frame(datagram, from));
  }

  session({ client = 1, port = 40_000 }: From = {}): { plain: SessionEntry | null; fallback: SessionEntry | null } {
    const tag = flowTag(
      {
        source: ipToBytes(`198.51.100.${client}`),
        destination: ipToBytes(vip4),
        sourcePort: port,
        destinationPort: 443,
        protocol: 17,
        v6: false,
      },
      this.lb.key,
    );
    return { plain: this.lb.sessions.find(tag), fallback: this.lb.sessions.find(quicFallbackTag(tag)) };
  }
}

async function open(t: { teardown(f: () => void): void }, options: Options = {}): Promise<Quic> {
  const lb = new DataPath({ buckets: options.buckets ?? 256 });
  t.teardown(() => lb.close());
  const quic = new Quic(lb);
  await quic.set(options);
  return quic;
}

const idOf = (
  serverId: string,
  config: QuicConfig,
  nonce: Uint8Array = Buffer.alloc(config.nonceLength, 0x5a),
): Buffer => connectionId({ config, serverId: hex(serverId), nonce });
const unreadable = hex('e0112233445566778899');

for (const { name, config, serverId, id } of [
  {
    name: 'plain, first',
    config: { id: 0, serverIdLength: 3, nonceLength: 4, key: null },
    serverId: 'c4605e',
    id: '07c4605e4504cc4f',
  },
  {
    name: 'plain, second',
    config: { id: 1, serverIdLength: 5, nonceLength: 5, key: null },
    serverId: '0350d28b42',
    id: '2a0350d28b4203487d970b',
  },
  {
    name: 'single pass',
    config: { id: 2, serverIdLength: 8, nonceLength: 8, key },
    serverId: 'ed793a51d49b8f5f',
    id: '504dd2d05a7b0de9b2b9907afb5ecf8cc3',
  },
]) {
  test(`the draft's vector (${name}) goes to the server that it names`, async (t) => {
    const other = Buffer.alloc(config.serverIdLength, 1).toString('hex');
    const servers = [
      [other, 100],
      [serverId, 1],
    ] as const;
    const quic = await open(t, { configs: [config], servers });
    for (const client of Array.from({ length: 30 }, (_, i) => i + 1)) {
      t.is(quic.send(shortHeader(hex(id)), { client }), 'be2');
      t.is(quic.send(longHeader(hex(id)), { client, v6: true }), 'be2');
    }
  });
}

for (const config of [plain, sealed]) {
  const form = config.key ? 'enciphered' : 'plain';

  test(`${form}: a client that changes its address and port stays with its server, and leaves no session`, async (t) => {
    const quic = await open(t);
    const random = new Random();
    t.log(`seed ${random.seed}`);
    for (let i = 0; i < 200; i++) {
      const n = 1 + random.below(3);
      const id = idOf(`0a0${n}`, config, random.bytes(config.nonceLength));
      const from = { client: 1 + random.below(250), port: 1024 + random.below(60_000), v6: random.chance(0.5) };
      const datagram = random.chance(0.5) ? shortHeader(id) : longHeader(id, { type: random.below(4) });
      t.is(quic.send(datagram, from), `be${n}`, id.toString('hex'));
    }
    t.is(quic.lb.tableEvents()['TABLE_INSERTED'], undefined);
    const traffic = quic.lb.counters.services(63);
    const counts = [vip4, vip6].map((vip) => traffic(quic.lb.serviceId(vip, 443, 17)));
    t.is(Number(counts[0]!.noSession + counts[1]!.noSession), 200);
  });

  test(`${form}: one socket may talk to two servers`, async (t) => {
    const quic = await open(t);
    for (const n of [1, 2, 3, 1, 3]) t.is(quic.send(shortHeader(idOf(`0a0${n}`, config))), `be${n}`);
  });

  test(`${form}: every bit of an id that is bent leads elsewhere, or by addresses, never astray`, async (t) => {
    const quic = await open(t);
    const fallback = quic.send(longHeader(unreadable));
    const id = idOf('0a02', config);
    for (let bit = 0; bit < id.length * 8; bit++) {
      const bent = Buffer.from(id);
      bent[bit >> 3]! ^= 0x80 >> (bit & 7);
      const went = quic.send(shortHeader(bent));
      const inNonce = !config.key && bit >= 24;
      const inLength = bit >= 3 && bit < 8;
      if (inNonce || inLength) t.is(went, 'be2', `bit ${bit}`);
      else t.true(went === fallback || /^be[13]$/.test(went), `bit ${bit}: ${went}`);
    }
  });
}

test("a client's first packets go by its addresses and ports, are remembered, and the server's id then rules", async (t) => {
  const quic = await open(t);
  const chosen = hex('c7f3a1b2c3d4e5f6');
  const first = quic.send(longHeader(chosen));
  t.is(quic.session().plain, null, 'nothing that the short way would find');
  t.is(quic.session().fallback!.state, 1);
  t.is(quic.send(longHeader(chosen, { type: 1 })), first);
  t.is(quic.session().fallback!.state, 2);
  for (const n of [1, 2, 3])
    t.is(quic.send(shortHeader(idOf(`0a0${n}`, plain))), `be${n}`, 'no session stands against it');
  t.is(quic.send(longHeader(chosen)), first);
});

test('flows without a readable id are spread, and stay where they are when the set changes', async (t) => {
  const quic = await open(t);
  const clients = Array.from({ length: 90 }, (_, i) => i + 1);
  const went = clients.map((client) => quic.send(longHeader(unreadable), { client }));
  t.is(new Set(went).size, 3);
  await quic.set({ servers: [...threeServers, ['0a04', 100], ['0a05', 100]] });
  t.deepEqual(
    clients.map((client) => quic.send(longHeader(unreadable), { client })),
    went,
  );
});

test('what cannot be read: another config, the reserved one, an unknown server, an id cut off or missing', async (t) => {
  const quic = await open(t);
  const whole = idOf('0a02', plain);
  const fallback = quic.send(longHeader(unreadable));
  const to = fallback === 'be2' ? '0a01' : '0a02';
  const id = idOf(to, plain);
  const config5 = Buffer.from(id);
  config5[0] = 5 << 5;
  for (const datagram of [
    shortHeader(config5),
    longHeader(Buffer.concat([hex('e8'), id.subarray(1)])),
    shortHeader(idOf('0aff', plain)),
    shortHeader(idOf('0aff', sealed)),
    longHeader(id.subarray(0, id.length - 1)),
    shortHeader(id.subarray(0, id.length - 1), Buffer.alloc(0)),
    longHeader(Buffer.alloc(0)),
    longHeader(id).subarray(0, 10),
    longHeader(id).subarray(0, 5),
    Buffer.alloc(0),
    Buffer.alloc(1),
  ]) {
    t.is(quic.send(datagram), fallback, datagram.toString('hex'));
  }
  t.is(quic.send(shortHeader(id, Buffer.alloc(0))), `be${to.at(-1)}`, 'just whole');
  t.is(quic.send(longHeader(whole).subarray(0, 6 + whole.length)), 'be2');
});

test('bytes behind the datagram are none of it', async (t) => {
  const quic = await open(t);
  const id = idOf('0a02', plain);
  const fallback = quic.send(longHeader(unreadable));
  const server = fallback === 'be2' ? '0a01' : '0a02';
  const cut = shortHeader(idOf(server, plain)).subarray(0, 6);
  const padded = Buffer.concat([quic.frame(cut), idOf(server, plain).subarray(5), Buffer.alloc(30)]);
  t.is(quic.run(padded), fallback);
  t.is(quic.run(Buffer.concat([quic.frame(shortHeader(id)), Buffer.alloc(9)])), 'be2');
});

test('behind VLAN tags and IPv4 options the id is found, too', async (t) => {
  const quic = await open(t);
  const datagram = udp({ from: 1, to: 443 }, shortHeader(idOf('0a03', sealed)));
  for (const options of [0, 4, 40]) {
    for (const tags of [[], [vlan(5)], [vlan(5, { tpid: 0x88a8 }), vlan(6)]]) {
      const packet = ip4({ from: '198.51.100.1', to: vip4, options: Buffer.alloc(options, 1) }, datagram);
      t.is(quic.run(ethernet({ to: lbMac }, ...tags, packet)), 'be3');
    }
  }
});

test('a backend that drains is still named by its ids; by addresses nobody new comes to it', async (t) => {
  const quic = await open(t);
  await quic.set({
    servers: [
      ['0a01', 100],
      ['0a02', 0],
      ['0a03', 100],
    ],
  });
  t.is(quic.send(shortHeader(idOf('0a02', plain))), 'be2');
  for (let client = 1; client < 60; client++) t.not(quic.send(longHeader(unreadable), { client }), 'be2');
});

test('ids of a backend that is down or gone go by addresses, and to it again when it is back', async (t) => {
  const quic = await open(t);
  const id = shortHeader(idOf('0a02', sealed));
  const rows = new Uint8Array(quic.lb.maps.backends.mmap());
  const flags = quic.lb.backendId('be2') * backendSize + backendOffset.flags;
  rows[flags]! &= ~BackendFlags.BACKEND_UP;
  t.not(quic.send(id), 'be2');
  rows[flags]! |= BackendFlags.BACKEND_UP;
  t.is(quic.send(id), 'be2');
  await quic.set({ servers: [threeServers[0], null, threeServers[2]] });
  const went = quic.send(id);
  t.true(['be1', 'be3'].includes(went));
  t.is(quic.send(id), went);
  await quic.set({});
  t.is(quic.send(id), 'be2');
});

test('a server id that moves to another backend takes its flows along', async (t) => {
  const quic = await open(t);
  await quic.set({
    servers: [
      ['0a02', 100],
      ['0a01', 100],
      ['0a03', 100],
    ],
  });
  t.is(quic.send(shortHeader(idOf('0a02', plain))), 'be1');
});

test('keys are changed by a new config beside the old one', async (t) => {
  const quic = await open(t, { configs: [sealed] });
  const next: QuicConfig = { ...sealed, id: 3, key: Buffer.alloc(16, 3) };
  await quic.set({ configs: [sealed, next] });
  for (const config of [sealed, next]) t.is(quic.send(shortHeader(idOf('0a02', config))), 'be2');
  await quic.set({ configs: [next] });
  t.is(quic.send(shortHeader(idOf('0a02', next))), 'be2');
  const fallback = quic.send(longHeader(unreadable));
  t.is(quic.send(shortHeader(idOf('0a02', sealed))), fallback);
  t.is([...quic.lb.control.read().quicRoutings].length, 1, 'the old one is in no table any more');
});

test('a listener that goes over to QCH forgets the sessions that it had with the sweep that follows', async (t) => {
  const quic = await open(t, { scheduler: 'TCH' });
  const id = (n: number): Buffer => shortHeader(idOf(`0a0${n}`, plain));
  const went = quic.send(id(1));
  quic.send(id(1));
  await quic.set({});
  const timeouts = new Uint16Array(65_536 * 4);
  for (const [service, { timeoutTicks }] of quic.lb.compiled!.tables.services) timeouts.set(timeoutTicks, service * 4);
  await quic.lb.sessions.sweep({ timeouts });
  for (const n of [1, 2, 3]) t.is(quic.send(id(n)), `be${n}`);
  await quic.set({ scheduler: 'TCH' });
  t.is(quic.send(id(2)), went, 'and by addresses again under TCH');
});

test('when no backend is left there is a reason', async (t) => {
  const quic = await open(t);
  await quic.set({ servers: [] });
  t.is(quic.send(shortHeader(idOf('0a02', plain))), 'DROP');
  t.deepEqual(quic.lb.reasons(), { DROP_NO_BACKEND: 1 });
});
