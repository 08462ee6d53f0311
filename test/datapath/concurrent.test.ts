/** Two CPUs and the sweep on one small table at once. */
import { execFile } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { promisify } from 'node:util';
import test from 'ava';
import { SessionState } from '../../src/abi/abi.generated.js';
import { clearSlot, migrateSessions, SyncTable } from '../../src/dataplane/addon.js';
import { macOf } from '../support/desired.js';
import { Random } from '../support/random.js';
import type { HammerOrder, HammerReport } from './children/hammer.js';
import { backendAddress, type Flow, openWeb, type Web, webDesired } from './web.js';

const buckets = 64;
const packets = 150_000;
const protectedPorts = [1024, Math.floor(buckets * 4 * 0.4)] as const;
/** More than the table holds, so that every way of finding room is taken. */
const otherPorts = [20_000, buckets * 4 * 2] as const;
/** With those that are protected three quarters of it: moves find room. */
const fewPorts = [20_000, Math.floor(buckets * 4 * 0.35)] as const;
const macBytes = (n: number): string => macOf(backendAddress(n)).replaceAll(':', '');
const portFlows = ([first, count]: readonly [number, number]): Flow[] =>
  Array.from({ length: count }, (_, i) => ({ from: first + i }));

async function hammer(cpu: number, order: HammerOrder): Promise<HammerReport> {
  const script = new URL('children/hammer.js', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(
    'taskset',
    ['-c', String(cpu), process.execPath, script, JSON.stringify(order)],
    { timeout: 100_000 },
  );
  return JSON.parse(stdout) as HammerReport;
}

/** What the sweep allows: everything but closing sessions, which it takes for those of a service that is gone. */
function sweepTimeouts(): Uint16Array {
  const timeouts = new Uint16Array(64 * 4).fill(0xffff);
  for (let at = SessionState.SESSION_CLOSING; at < timeouts.length; at += 4) timeouts[at] = 0;
  return timeouts;
}

/** Slots by tag. */
function slotsByTag({ lb }: Web): Map<bigint, number[]> {
  const words = new BigUint64Array(lb.maps.sessions.mmap());
  const found = new Map<bigint, number[]>();
  for (let slot = 0; slot < lb.sessions.slots; slot++) {
    const tag = words[slot * 2]!;
    if (tag !== 0n && words[slot * 2 + 1] !== 0n) found.set(tag, [...(found.get(tag) ?? []), slot]);
  }
  return found;
}

test('established sessions keep their backend and their place; nothing is left half done', async (t) => {
  const seed = new Random().seed;
  t.log(`seed ${seed}`);
  const pins = `/sys/fs/bpf/spillway/t${process.pid}-dp-0`;
  mkdirSync(pins, { recursive: true });
  t.teardown(() => rmSync(pins, { recursive: true, force: true }));
  const web = await openWeb(t, { buckets, weights: [100, 0, 0] });
  web.lb.program.pin(`${pins}/lb`);
  for (const flow of portFlows(protectedPorts)) t.is(web.establish(flow), 'be1');
  await web.set(webDesired({ weights: [0, 100, 0] }));
  web.lb.passMs(20_000);
  for (const flow of portFlows(protectedPorts)) web.send(flow);

  const order: Omit<HammerOrder, 'seed'> = {
    program: `${pins}/lb`,
    packets,
    template: web.frame({}).toString('hex'),
    protectedPorts,
    otherPorts,
    protectedMac: macBytes(1),
    otherMac: macBytes(2),
  };
  let running = true;
  const children = Promise.all([0, 1].map((cpu) => hammer(cpu, { ...order, seed: seed + cpu }))).finally(() => {
    running = false;
  });
  const timeouts = sweepTimeouts();
  let sweeps = 0;
  let purged = 0;
  while (running) {
    purged += (await web.lb.sessions.sweep({ timeouts })).purged;
    sweeps++;
    if (sweeps % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const reports = await children;
  t.log(`${sweeps} sweeps purged ${purged} sessions meanwhile:`, web.lb.tableEvents());
  t.deepEqual(
    reports.flatMap(({ astray }) => astray),
    [],
  );
  t.true(purged > 100);

  const first = await web.lb.sessions.sweep({ timeouts: new Uint16Array(256).fill(0xffff) });
  t.deepEqual([...first.unfinished], [], 'slots that were claimed and never filled');
  const byTag = slotsByTag(web);
  const twice = [...byTag.values()].filter((slots) => slots.length > 1);
  /* Both CPUs may insert a flow at the same moment, each in a slot of its own: no more than those, and they agree. */
  t.log(`${twice.length} of ${byTag.size} tags are there twice`);
  t.true(twice.length <= byTag.size * 0.05);
  for (const slots of twice) {
    const backends = new Set(slots.map((slot) => web.lb.sessions.entryAt(slot)!.backend));
    t.is(backends.size, 1);
  }
  for (const flow of portFlows(protectedPorts)) {
    const entry = web.session(flow);
    t.is(entry?.state, SessionState.SESSION_ESTABLISHED);
    t.is(entry?.backend, web.lb.backendId('be1'));
    t.is(byTag.get(web.tag(flow))?.length, 1);
  }
  for (const slots of byTag.values())
    for (const slot of slots) t.truthy(web.lb.sessions.entryAt(slot)?.detail, 'its detail is its own');
});

test('sessions of another table come into one that two CPUs write to: each once, whole, and nobody else is hurt', async (t) => {
  const seed = new Random().seed;
  t.log(`seed ${seed}`);
  const pins = `/sys/fs/bpf/spillway/t${process.pid}-dp-1`;
  mkdirSync(pins, { recursive: true });
  t.teardown(() => rmSync(pins, { recursive: true, force: true }));
  const before = await openWeb(t, { buckets: 40, weights: [100, 0, 0] });
  for (const flow of portFlows(protectedPorts)) t.is(before.establish(flow), 'be1');
  const [sessions, details] = [before.lb.maps.sessions.mmap().slice(0), before.lb.maps.details.mmap().slice(0)];

  const web = await openWeb(t, { buckets, weights: [100, 0, 0] });
  await web.set(webDesired({ weights: [0, 100, 0] }));
  web.lb.passMs(20_000);
  web.lb.program.pin(`${pins}/lb`);
  const order: Omit<HammerOrder, 'seed'> = {
    program: `${pins}/lb`,
    packets: packets / 2,
    template: web.frame({}).toString('hex'),
    protectedPorts: fewPorts,
    otherPorts: fewPorts,
    protectedMac: macBytes(2),
    otherMac: macBytes(2),
  };
  const to = { sessions: web.lb.maps.sessions.mmap(), details: web.lb.maps.details.mmap() };
  const timeouts = new Uint16Array(64 * 4).fill(0xffff);
  const walk = () =>
    migrateSessions({
      from: { sessions, details },
      to,
      nowTick: 0,
      timeouts,
      copied: new ArrayBuffer(sessions.byteLength),
    });
  let running = true;
  const children = Promise.all([0, 1].map((cpu) => hammer(cpu, { ...order, seed: seed + cpu }))).finally(() => {
    running = false;
  });
  let [walks, inserted, noRoom] = [0, 0, 0];
  while (running) {
    const result = walk();
    walks++;
    inserted += result.inserted;
    noRoom += result.noRoom;
    /* So that both sides insert all the time. */
    for (const flow of [...portFlows(protectedPorts), ...portFlows(fewPorts)]) {
      const entry = web.session(flow);
      if (entry) clearSlot(to.sessions, entry.slot, entry.tag);
    }
    if (walks % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const reports = await children;
  t.log(`${walks} walks inserted ${inserted}, ${noRoom} found no room:`, web.lb.tableEvents());
  t.deepEqual(
    reports.flatMap(({ astray }) => astray),
    [],
  );
  t.true(inserted > 10_000);
  t.is(walk().noRoom, 0);
  const { unfinished } = await web.lb.sessions.sweep({ timeouts });
  t.deepEqual([...unfinished], [], 'slots that were claimed and never filled');
  const byTag = slotsByTag(web);
  for (const flow of portFlows(protectedPorts)) {
    t.is(web.send(flow), 'be1');
    t.is(byTag.get(web.tag(flow))?.length, 1);
    t.is(web.session(flow)?.detail?.clientPort, flow.from);
  }
  for (const slots of byTag.values())
    for (const slot of slots) t.truthy(web.lb.sessions.entryAt(slot)?.detail, 'its detail is its own');
});

/** The table as session sync has it: what things are called elsewhere is their number here. */
function syncTable(memory: { sessions: ArrayBuffer; details: ArrayBuffer }, tick: number): SyncTable {
  const table = new SyncTable(memory);
  const numbers = Uint32Array.from({ length: 64 }, (_, id) => id);
  table.setDictionary({
    ...{ serviceWire: numbers, servicePool: new Uint16Array(64), serviceProtocol: new Uint8Array(64).fill(6) },
    ...{ backendWire: numbers, backendPool: new Uint16Array(64), timeouts: new Uint16Array(64 * 4).fill(0xffff) },
  });
  table.setClock({ tick, monotonicNs: 0n, tickNs: 0 });
  return table;
}

test('what peers tell comes into a table that two CPUs write to: each session once, whole, and nobody else is hurt', async (t) => {
  const seed = new Random().seed;
  t.log(`seed ${seed}`);
  const pins = `/sys/fs/bpf/spillway/t${process.pid}-dp-2`;
  mkdirSync(pins, { recursive: true });
  t.teardown(() => rmSync(pins, { recursive: true, force: true }));
  const before = await openWeb(t, { buckets: 40, weights: [100, 0, 0] });
  for (const flow of portFlows(protectedPorts)) t.is(before.establish(flow), 'be1');
  const tick = before.lb.clock.now();
  const copy = { sessions: before.lb.maps.sessions.mmap().slice(0), details: before.lb.maps.details.mmap().slice(0) };
  const all = { cursor: 0, limit: 10_000, ranges: 1, wanted: null };
  const { records, count } = await syncTable(copy, tick).export(all);
  t.is(count, protectedPorts[1]);

  const web = await openWeb(t, { buckets, weights: [100, 0, 0] });
  await web.set(webDesired({ weights: [0, 100, 0] }));
  web.lb.passMs(20_000);
  web.lb.program.pin(`${pins}/lb`);
  const order: Omit<HammerOrder, 'seed'> = {
    program: `${pins}/lb`,
    packets: packets / 2,
    template: web.frame({}).toString('hex'),
    protectedPorts: fewPorts,
    otherPorts: fewPorts,
    protectedMac: macBytes(2),
    otherMac: macBytes(2),
  };
  const to = { sessions: web.lb.maps.sessions.mmap(), details: web.lb.maps.details.mmap() };
  const table = syncTable(to, tick);
  const clear = (): void => {
    for (const flow of [...portFlows(protectedPorts), ...portFlows(fewPorts)]) {
      const entry = web.session(flow);
      if (entry) clearSlot(to.sessions, entry.slot, entry.tag);
    }
  };
  let running = true;
  const children = Promise.all([0, 1].map((cpu) => hammer(cpu, { ...order, seed: seed + cpu }))).finally(() => {
    running = false;
  });
  let [rounds, applied, noRoom] = [0, 0, 0];
  while (running) {
    const merged = await table.import(records, 1);
    rounds++;
    applied += merged.applied;
    noRoom += merged.noRoom;
    clear();
  }
  const reports = await children;
  t.log(`${rounds} rounds applied ${applied}, ${noRoom} found no room:`, web.lb.tableEvents());
  t.deepEqual(
    reports.flatMap(({ astray }) => astray),
    [],
  );
  t.true(applied > 10_000);
  clear();
  t.is((await table.import(records, 1)).noRoom, 0);
  const { unfinished } = await web.lb.sessions.sweep({ timeouts: new Uint16Array(64 * 4).fill(0xffff) });
  t.deepEqual([...unfinished], [], 'slots that were claimed and never filled');
  const byTag = slotsByTag(web);
  for (const flow of portFlows(protectedPorts)) {
    t.is(byTag.get(web.tag(flow))?.length, 1);
    t.is(web.session(flow)?.detail?.clientPort, flow.from);
    t.is(web.send(flow), 'be1');
  }
  for (const slots of byTag.values())
    for (const slot of slots) t.truthy(web.lb.sessions.entryAt(slot)?.detail, 'its detail is its own');
});
