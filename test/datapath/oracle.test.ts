/**
 * Random and mutated packets through the program and through the model, while backends come and go, weights change and
 * time passes: no verdict, byte, counter, session or
 * word to other nodes may differ. SPILLWAY_SEED repeats a run, SPILLWAY_PACKETS sets its
 * length.
 */
import test, { type ExecutionContext } from 'ava';
import { BackendFlags, backendOffset, backendSize, egressSize, Reason } from '../../src/abi/abi.generated.js';
import { parseMac } from '../../src/base/ip.js';
import type { Backend, Desired, Listener, LoadBalancer, QuicConfig } from '../../src/config/desired.js';
import { RingReader } from '../../src/dataplane/addon.js';
import { parseEarlyFragments } from '../../src/events/early-fragments.js';
import { Comparison } from '../support/compare.js';
import { DataPath, type DataPathOptions, lbMac } from '../support/data_path.js';
import { backend, desiredOf, group, listener, loadBalancer, seen, tcpCheck, waysOut } from '../support/desired.js';
import { ethernet, ip4 } from '../support/frame.js';
import { until } from '../support/lab/until.js';
import { readControl } from '../support/model/control.js';
import { DataPathModel } from '../support/model/data_path_model.js';
import { pinToCpu } from '../support/pin_cpu.js';
import { Random } from '../support/random.js';
import { withAdmission } from '../support/random_admission.js';
import { RandomTraffic, type Target } from '../support/random_traffic.js';
import { tcp } from '../support/transport.js';

const packets = Number(process.env['SPILLWAY_PACKETS'] ?? 100_000);

const vips = {
  l2: ['192.0.2.10', '2001:db8:10::10'],
  tunnel4: ['192.0.2.11'],
  tunnel6: ['192.0.2.12', '2001:db8:10::12'],
};
const backendNames = ['l1', 'l2', 'l3', 'a1', 'a2', 'a3', 'b1', 'b2', 'b3'];
/** Ports of the VIPs `l2` whose listeners have any scheduler, and may keep clients to their backends. */
const anyScheduler = { tcp: [8081, 8082], udp: [8083] };

/** Configurations that come and go under the same numbers. */
const quicConfigs: readonly (readonly QuicConfig[])[] = [
  [{ id: 0, serverIdLength: 2, nonceLength: 6, key: null }],
  [
    { id: 1, serverIdLength: 2, nonceLength: 14, key: Buffer.from('8f95f09245765f80256934e50c66207f', 'hex') },
    { id: 0, serverIdLength: 2, nonceLength: 4, key: null },
    { id: 6, serverIdLength: 2, nonceLength: 17, key: null },
  ],
  [{ id: 2, serverIdLength: 2, nonceLength: 14, key: Buffer.alloc(16, 7) }],
  [{ id: 1, serverIdLength: 15, nonceLength: 4, key: null }],
  [{ id: 3, serverIdLength: 15, nonceLength: 1, key: Buffer.alloc(16, 9) }],
];
const serverIdOf = (n: number, length: number): Buffer => Buffer.alloc(length, 0x20 + n);
const quic = {
  configs: quicConfigs.flat(),
  serverIds: [1, 2, 3].flatMap((n) => [2, 15].map((length) => serverIdOf(n, length))),
};

const secondMac = '02:00:00:00:00:12';

const targets: Target[] = [
  ...vips.l2.flatMap((address): Target[] => [
    { address, port: 80, protocol: 'tcp' },
    { address, port: 53, protocol: 'udp' },
    { address, port: 8080, protocol: 'tcp' },
    ...anyScheduler.tcp.map((port): Target => ({ address, port, protocol: 'tcp' })),
    ...anyScheduler.udp.map((port): Target => ({ address, port, protocol: 'udp' })),
    { address, port: 4433, protocol: 'udp', quic },
    { address, port: 4433, protocol: 'udp', quic },
  ]),
  { address: '192.0.2.11', port: 80, protocol: 'tcp' },
  { address: '192.0.2.11', port: 443, protocol: 'udp' },
  ...vips.tunnel6.map((address): Target => ({ address, port: 80, protocol: 'tcp' })),
  { address: '192.0.2.10', port: 9, protocol: 'tcp' },
];

function randomDesired(random: Random, lasting = false): Desired {
  const timeouts = lasting ? [30_000] : [10_000, 60_000, 900_000];
  const weight = (): number => random.pick([0, 1, 50, 100, 100, 100]);
  const members = (prefix: string, address: (i: number) => string) =>
    [1, 2, 3].filter(() => random.chance(0.9)).map((i) => backend(`${prefix}${i}`, address(i), weight()));
  const stopped = !lasting && random.chance(0.05);
  const sessionTimeoutMs = random.pick(timeouts);
  const checked = {
    healthCheck: tcpCheck,
    sessionTimeoutMs,
    allUnhealthy: random.pick(['FAIL_OPEN', 'FAIL_CLOSED'] as const),
  };
  const scheduled = (protocol: 'tcp' | 'udp') =>
    anyScheduler[protocol].map((port) =>
      listener({
        port,
        protocol,
        backendGroup: 'l2',
        ...checked,
        scheduler: random.pick(['WRR', 'RR', 'WLC', 'TCH', 'SCH']),
        sourcePersistenceMs: random.pick([0, 2000, 60_000, 3_600_000]),
      }),
    );
  const clamped = (name: string, addresses: readonly string[], listeners: readonly Listener[]): LoadBalancer =>
    loadBalancer(name, addresses, listeners, { maxSegmentSize: random.pick([0, 0, 536, 1300, 1400]) });
  const configs = random.pick(quicConfigs);
  const withServerId = (one: Backend): Backend => ({
    ...one,
    quicServerId: serverIdOf(random.chance(0.95) ? Number(one.name.slice(1)) : 9, configs[0]!.serverIdLength),
  });
  const balancers = [
    clamped('l2', vips.l2, [
      listener({ port: 80, backendGroup: 'l2', ...checked, stopped }),
      listener({ port: 53, protocol: 'udp', backendGroup: 'l2', ...checked }),
      listener({ port: 8080, backendGroup: 'l2', scheduler: 'SCH', ...checked }),
      listener({ port: 9, backendGroup: 'l2', stopped: true }),
      ...scheduled('tcp'),
      ...scheduled('udp'),
      listener({
        port: 4433,
        protocol: 'udp',
        backendGroup: 'l2',
        ...checked,
        ...(random.chance(0.9) ? { scheduler: 'QCH', quic: configs } : {}),
      }),
    ]),
    clamped('tunnel4', vips.tunnel4, [
      listener({ port: 80, backendGroup: 'tunnel4', ...checked }),
      listener({ port: 443, protocol: 'udp', backendGroup: 'tunnel4', scheduler: 'SCH', ...checked }),
    ]),
    clamped('tunnel6', vips.tunnel6, [listener({ port: 80, backendGroup: 'tunnel6', ...checked })]),
  ];
  const groups = [
    group('l2', 'L2_DSR', members('l', (i) => `203.0.113.${20 + i}`).map(withServerId)),
    group(
      'tunnel4',
      random.pick(['IPIP', 'GUE']),
      members('a', (i) => `203.0.113.${30 + i}`),
    ),
    group(
      'tunnel6',
      random.pick(['IPIP', 'GUE']),
      members('b', (i) => `2001:db8:200::${40 + i}`),
    ),
  ];
  const desired = desiredOf(lasting ? balancers : balancers.filter(() => random.chance(0.95)), groups);
  return lasting ? desired : withAdmission(random, desired);
}

/** After so many a handover is in its last tick. */
const handoverTicks = 40;

/** One thing of those that happen between packets. */
async function happen(
  lb: DataPath,
  model: DataPathModel,
  random: Random,
  state: { desired: Desired },
  run: Run,
): Promise<string> {
  const kind = random.below(13);
  if (kind < 3 || (run.quiet && kind !== 4)) {
    const ticks = random.pick(run.quiet ? [1, 2, 4, 8, 15] : [1, 2, 3, 4, 5, 30, handoverTicks, 45, 130, 300, 2000]);
    lb.pass(ticks);
    model.pass(ticks);
    return `${ticks} ticks pass`;
  }
  if (kind === 3) {
    flipUp(lb, random);
    return 'a backend goes up or down, its tables as they are';
  }
  if (kind === 4) {
    const { timeouts } = sweepTimeouts(model);
    const settle = lb.control.loads.count([...lb.compiled!.backends.keys()]);
    settle((await lb.sessions.sweep({ timeouts })).openByBackend);
    model.sessions.sweep(model.now);
    return 'the table is swept';
  }
  if (kind >= 11) return measure(lb, random);
  if (kind === 5) {
    lb.maps.vip_filter.update(new Uint8Array(4), new Uint8Array(8192).fill(0xff));
    return 'the filter takes every address for a VIP';
  }
  if (kind === 6) {
    const lost = 1 + random.below(5);
    lb.maps.egresses.update(new Uint8Array(Uint32Array.of(lost).buffer), new Uint8Array(egressSize));
    return `egress ${lost} is lost`;
  }
  if (kind < 9) state.desired = randomDesired(random);
  const unhealthy = backendNames.filter(() => random.chance(0.2));
  const unresolved = backendNames.filter(() => random.chance(0.05));
  const steered = backendNames.filter(() => random.chance(0.4));
  const devices = Object.fromEntries(steered.map((name) => [name, random.pick([...waysOut.keys()])]));
  const mtu = random.pick([1500, 1500, 1500, 1440, 1320, 1300, 600, 340, 80]);
  const ops = await lb.apply(state.desired, seen(state.desired, { unhealthy, unresolved, devices, mtu }));
  return `applied: ${ops.map(({ op }) => op).join(', ')}`;
}

/** What an agent writes into limits: that they are over, or how many sessions there are. */
function measure(lb: DataPath, random: Random): string {
  const ids = [...lb.control.limitRows.read().keys()];
  if (ids.length === 0) return 'nothing is limited';
  const id = random.pick(ids);
  if (random.chance(0.5)) {
    lb.control.limitRows.setOver(id, random.below(4), 0);
    return `limit ${id} is measured`;
  }
  const row = lb.control.limitRows.row(id);
  lb.control.limitRows.setLive(id, random.below(20), { before: row, after: row });
  return `the sessions of limit ${id} are counted`;
}

function sweepTimeouts(model: DataPathModel): { timeouts: Uint16Array } {
  return { timeouts: Uint16Array.from(model.control.services.flatMap(({ timeoutTicks }) => timeoutTicks)) };
}

/** As between a verdict and the swap of its tables: the choice is down and there is no other. */
function flipUp(lb: DataPath, random: Random): void {
  const rows = new Uint8Array(lb.maps.backends.mmap());
  const ids = [...lb.compiled!.backends.keys()];
  if (ids.length > 0) rows[random.pick(ids) * backendSize + backendOffset.flags]! ^= BackendFlags.BACKEND_UP;
}

interface Run {
  readonly options: DataPathOptions & { readonly buckets: number };
  readonly clients: number;
  readonly portsPerClient: number;
  readonly packets: number;
  readonly flags?: readonly string[];
  readonly bent?: number;
  readonly odd?: number;
  readonly skewed?: boolean;
  readonly twice?: boolean;
  /** Nothing happens but that time passes and the table is swept. */
  readonly quiet?: boolean;
  /** Packets from one thing that happens to the next; 100. */
  readonly every?: number;
  /** Instead of random traffic. */
  readonly frames?: () => Buffer;
}

/** Reasons that some packet of this run had. */
const seenReasons = new Set<string>();

/**
 * Reasons that no packet can have here: defects, what is no packet's doing, and what the maps of this test do not ask
 * for.
 */
const beyondThisTest = new Set(['DROP_NO_HEADROOM', 'DROP_INTERNAL']);

/** Fragments that the agent was given are the model's, whole and in order. */
async function earlyFragmentsAgree(t: ExecutionContext, given: readonly Buffer[], model: DataPathModel): Promise<void> {
  await until('all early fragments have been read', () => given.length >= model.early.length, { withinMs: 5000 });
  const differing = model.early.findIndex((frame, i) => !given[i]?.equals(frame));
  t.is(differing, -1, `early fragment ${differing} differs`);
  t.is(given.length, model.early.length);
}

async function agree(t: ExecutionContext, run: Run): Promise<void> {
  const random = new Random();
  t.log(`seed ${random.seed}`);
  const lb = new DataPath({ allowances: { echoes: 20, errors: 20, fragments: 20 }, ...run.options });
  t.teardown(() => lb.close());
  const early: Buffer[] = [];
  const ring = new RingReader(lb.maps.events, {}, (records) => {
    early.push(...parseEarlyFragments(records).map(({ frame }) => Buffer.from(frame)));
  });
  t.teardown(() => ring.close());
  const state = { desired: randomDesired(random, run.quiet) };
  await lb.apply(state.desired);
  lb.settings.setMacs([lbMac, secondMac].map((mac) => parseMac(mac)!));
  const model = new DataPathModel(run.options.buckets, readControl(lb));
  const comparison = new Comparison(lb, model);
  const strangers = ['192.0.2.99', '2001:db8:10::99', '203.0.113.11', '::ffff:192.0.2.10'];
  const traffic = new RandomTraffic(random, { lbMac, secondMac, targets, strangers, ...run });
  let story = 'the start';
  for (let i = 0; i < run.packets; i++) {
    if (i % (run.every ?? 100) === 99) {
      story = await happen(lb, model, random, state, run);
      model.control = readControl(lb);
      model.admission.adopt();
    }
    const frame = run.frames?.() ?? traffic.next();
    const expected = model.handle(frame);
    const { verdict, frame: out } = lb.run(frame);
    const same = verdict === expected.verdict && out.equals(expected.frame);
    const differing = same
      ? (comparison.counts() ??
        comparison.told() ??
        comparison.limits() ??
        (expected.tag ? comparison.bucketsOf(expected.tag) : null))
      : {
          what: 'verdict or bytes',
          kernel: { verdict, out: out.toString('hex') },
          model: { ...expected, frame: expected.frame.toString('hex') },
        };
    const whole =
      differing ?? (i % 100 === 98 ? (comparison.table() ?? comparison.traffic() ?? comparison.refusals()) : null);
    if (whole) {
      t.log({ packet: i, after: story, frame: frame.toString('hex'), expected, ...whole });
      return t.fail(`seed ${random.seed}, packet ${i}: ${whole.what} differs`);
    }
  }
  const cells = comparison.cells();
  if (cells) return t.fail(`seed ${random.seed}: ${cells.what} differs: ${cells.kernel} is not ${cells.model}`);
  t.log(`${run.packets} packets:`, lb.reasons(), lb.tableEvents());
  for (const word of Object.keys(lb.reasons())) seenReasons.add(word);
  await earlyFragmentsAgree(t, early, model);
}

test.before(() => pinToCpu(0));

test.serial('a table with room', (t) =>
  agree(t, { options: { buckets: 4096 }, clients: 300, portsPerClient: 8, packets: Math.ceil(packets * 0.4) }),
);
test.serial('a table that is always full', (t) =>
  agree(t, { options: { buckets: 16 }, clients: 60, portsPerClient: 3, packets: Math.ceil(packets * 0.1) }),
);
test.serial('a table around its limit, where entries move', (t) =>
  agree(t, { options: { buckets: 128 }, clients: 60, portsPerClient: 2, packets: Math.ceil(packets * 0.1) }),
);
/* Sessions that last: entries are moved, those long idle give way, and some flows find no room at all. */
const lasting = {
  flags: [...Array<string>(30).fill('A'), 'FA'],
  bent: 0.02,
  odd: 0.02,
  portsPerClient: 1,
  quiet: true,
  skewed: true,
};
test.serial('a table that established sessions fill nearly', (t) =>
  agree(t, { options: { buckets: 32 }, clients: 11, ...lasting, packets: Math.ceil(packets * 0.1) }),
);
test.serial('a table that established sessions overfill', (t) =>
  agree(t, { options: { buckets: 32 }, clients: 24, ...lasting, packets: Math.ceil(packets * 0.1) }),
);
test.serial('a table filled past its last slot by flows that are established at once', (t) => {
  const buckets = 512;
  const wanted = Math.floor(buckets * 4 * 1.6);
  let sent = 0;
  const frames = (): Buffer => {
    const flow = Math.floor(sent++ / 2) % wanted;
    const from = `198.51.${100 + (flow >> 8)}.${flow & 0xff}`;
    return ethernet({ to: lbMac }, ip4({ from, to: '192.0.2.10' }, tcp({ from: 40_000, to: 80, flags: 'A' })));
  };
  return agree(t, {
    options: { buckets },
    clients: 1,
    portsPerClient: 1,
    quiet: true,
    every: 2000,
    frames,
    packets: wanted * 6,
  });
});
test.serial('the smallest table', (t) =>
  agree(t, { options: { buckets: 2 }, clients: 8, portsPerClient: 2, packets: Math.ceil(packets * 0.1) }),
);
test.serial('loaded for frames in fragments', (t) =>
  agree(t, {
    options: { buckets: 256, frags: true },
    clients: 60,
    portsPerClient: 4,
    packets: Math.ceil(packets * 0.1),
  }),
);
/** As a packet that ends there, and is not cut off: its IP header says so. Frames with tags stay as they are. */
function ended(frame: Buffer): Buffer {
  const shorter = Buffer.from(frame);
  const type = frame.readUInt16BE(12);
  if (type === 0x0800 && frame.length >= 34) shorter.writeUInt16BE(frame.length - 14, 16);
  if (type === 0x86dd && frame.length >= 54) shorter.writeUInt16BE(frame.length - 54, 18);
  return shorter;
}

/** Each frame of `traffic`, cut off after each of its bytes, in two ways; a test run takes none below 14. */
function* cutOff(traffic: RandomTraffic): Generator<Buffer, never> {
  for (;;) {
    const frame = traffic.next();
    /* Of long ones the headers, and then here and there. */
    for (let length = 14; length <= frame.length; length += length < 200 ? 1 : 61) {
      yield frame.subarray(0, length);
      yield ended(frame.subarray(0, length));
    }
  }
}

test.serial('every kind of packet, cut off after each of its bytes', (t) => {
  const random = new Random();
  t.log(`frames of seed ${random.seed}`);
  const strangers = ['192.0.2.99', '2001:db8:10::99'];
  const what = { lbMac, secondMac, targets, strangers, clients: 40, portsPerClient: 2, bent: 0, odd: 0.7 };
  const cuts = cutOff(new RandomTraffic(random, what));
  return agree(t, {
    options: { buckets: 256 },
    clients: 40,
    portsPerClient: 2,
    frames: () => cuts.next().value,
    packets: Math.ceil(packets * 0.2),
  });
});

test.serial('every reason that a packet can have, some packet had', (t) => {
  const expected = Object.keys(Reason).filter((word) => word !== 'REASON_COUNT' && !beyondThisTest.has(word));
  const missing = expected.filter((word) => !seenReasons.has(word));
  if (packets >= 100_000) t.deepEqual(missing, []);
  else t.pass(`${packets} packets are too few to tell; missing: ${missing.join(', ')}`);
});
