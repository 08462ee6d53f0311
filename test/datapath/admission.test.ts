/** Who may begin a flow: access lists and limits. Time stands still but where it passes. */
import test, { type ExecutionContext } from 'ava';
import { limitOffset, limitSize } from '../../src/abi/abi.generated.js';
import { type AccessControl, type AccessList, type Limits, noLimits, type Prefix } from '../../src/config/desired.js';
import { type Flow, openWeb, type Web, type WebOptions, webDesired } from './web.js';

const prefix = (text: string): Prefix => {
  const [address = '', bits] = text.split('/');
  return { address, bits: bits === undefined ? (address.includes(':') ? 128 : 32) : Number(bits) };
};
const list = (...texts: string[]): AccessList => ({ name: 'list', entries: texts.map(prefix), description: '' });
const by = (mode: AccessControl['mode']): { accessControl: AccessControl } => ({
  accessControl: { mode, accessList: 'list' },
});

interface Setting {
  readonly lists?: readonly AccessList[];
  /** Of every listener. */
  readonly listener?: WebOptions['listener'];
  /** Of the LoadBalancer. */
  readonly limits?: Partial<Limits>;
}

async function set(web: Web, { lists = [], listener = {}, limits = {} }: Setting): Promise<void> {
  const desired = webDesired({ listener });
  const loadBalancers = desired.loadBalancers.map((one) => ({ ...one, limits: { ...noLimits, ...limits } }));
  await web.set({ ...desired, loadBalancers, accessLists: lists });
}

async function open(t: ExecutionContext, setting: Setting, options: WebOptions = {}): Promise<Web> {
  const web = await openWeb(t, { buckets: 1024, ...options });
  await set(web, setting);
  return web;
}

const limits = (fields: Partial<Limits>): { limits: Limits } => ({ limits: { ...noLimits, ...fields } });
const isIn = (answer: string): boolean => answer.startsWith('be');
/** How many of these flows a SYN gets in. */
const letIn = (web: Web, flows: readonly Flow[], flags = 'S'): number =>
  flows.filter((flow) => isIn(web.send(flow, flags))).length;

/* ---- access lists ---------------------------------------------------------------------- */

test('allow lets in those on the list and nobody else, deny the others', async (t) => {
  const lists = [list('198.51.100.1', '198.51.100.8/29', '2001:db8:100::1', '2001:db8:100::8/125')];
  for (const [mode, listed] of [
    ['ALLOW', true],
    ['DENY', false],
  ] as const) {
    const web = await open(t, { lists, listener: by(mode) });
    for (const v6 of [false, true]) {
      for (let client = 0; client < 32; client++) {
        const isListed = client === 1 || (client >= 8 && client < 16);
        t.is(isIn(web.send({ client, v6 }, 'S')), isListed === listed, `${mode} ${client} v6 ${v6}`);
        t.is(isIn(web.send({ client, v6, udp: true })), isListed === listed, `${mode} ${client} v6 ${v6} UDP`);
      }
    }
    t.deepEqual(Object.keys(web.lb.reasons()), ['DROP_ACCESS_DENIED']);
  }
});

test('a prefix of one family says nothing about the other: ::/0 is not everybody', async (t) => {
  for (const [entry, v6] of [
    ['::/0', true],
    ['0.0.0.0/0', false],
    ['::/8', true],
  ] as const) {
    const web = await open(t, { lists: [list(entry)], listener: by('DENY') });
    t.is(web.send({}, 'S') === 'DROP', !v6, entry);
    t.is(web.send({ v6: true }, 'S') === 'DROP', v6 && entry !== '::/8', entry);
  }
});

test('an empty list allows nobody, and denies nobody', async (t) => {
  const web = await open(t, { lists: [list()], listener: by('ALLOW') });
  t.is(web.send({}, 'S'), 'DROP');
  await set(web, { lists: [list()], listener: by('DENY') });
  t.true(isIn(web.send({}, 'S')));
});

test('a wide entry goes and a narrow one within it stays', async (t) => {
  const web = await open(t, { lists: [list('198.51.100.0/24', '198.51.100.7')], listener: by('ALLOW') });
  t.is(letIn(web, web.flows(20)), 20);
  await set(web, { lists: [list('198.51.100.7')], listener: by('ALLOW') });
  t.deepEqual(
    web.flows(20).filter((flow) => isIn(web.send(flow, 'S'))),
    [{ client: 7 }],
  );
});

test('a list is asked for new flows alone: what is established stays, whatever the list says by now', async (t) => {
  const web = await open(t, { lists: [list('198.51.100.1')], listener: by('ALLOW') });
  const backend = web.establish({});
  await set(web, { lists: [list('198.51.100.2')], listener: by('ALLOW') });
  t.is(web.send({}), backend);
  t.is(web.send({}, 'S'), backend, 'a SYN on a live session is of that session');
  t.is(web.send({ from: 40_001 }, 'S'), 'DROP');
  t.is(web.send({ from: 40_002 }), 'DROP', 'an ACK out of the blue is a new flow');
});

test('a session whose backend goes down moves, whatever the list says by now', async (t) => {
  const web = await open(t, {});
  const backend = web.establish({});
  const desired = webDesired({ listener: by('DENY') });
  await web.set({ ...desired, accessLists: [list('198.51.100.1')] }, { unresolved: [backend] });
  const now = web.send({});
  t.true(isIn(now));
  t.not(now, backend);
});

test('listeners with other lists do not see each other', async (t) => {
  const web = await openWeb(t);
  const desired = webDesired();
  const [balancer] = desired.loadBalancers;
  const control = (port: number): AccessControl | null =>
    port === 80 ? { mode: 'DENY', accessList: 'one' } : port === 443 ? { mode: 'DENY', accessList: 'two' } : null;
  await web.set({
    ...desired,
    loadBalancers: [
      { ...balancer!, listeners: balancer!.listeners.map((one) => ({ ...one, accessControl: control(one.port) })) },
    ],
    accessLists: [
      { ...list('198.51.100.1'), name: 'one' },
      { ...list('198.51.100.2'), name: 'two' },
    ],
  });
  t.deepEqual(
    [80, 443, 53].map((to) => [1, 2, 3].map((client) => web.send({ client, to, udp: to === 53 }, 'S') === 'DROP')),
    [
      [true, false, false],
      [false, true, false],
      [false, false, false],
    ],
  );
  t.is(web.lb.control.access.read().size, 2);
});

test('a changed list changes entry by entry where it stays with its listeners, and is made anew where it does not', async (t) => {
  const web = await open(t, { lists: [list('198.51.100.1', '198.51.100.2')], listener: by('DENY') });
  const [number] = web.lb.control.access.read().keys();
  await set(web, { lists: [list('198.51.100.2', '198.51.100.3')], listener: by('DENY') });
  t.deepEqual([...web.lb.control.access.read().keys()], [number]);
  await set(web, { lists: [list('198.51.100.4')], listener: by('ALLOW') });
  const after = web.lb.control.access.read();
  t.is(after.size, 1);
  t.false(after.has(number!));
  t.is(letIn(web, web.flows(6)), 1);
});

/* ---- new sessions a second ------------------------------------------------------------- */

test('a second of new sessions comes in at once, and then as many a second as the limit says', async (t) => {
  const web = await open(t, { listener: limits({ newSessionsPerSecond: 40 }) });
  t.is(letIn(web, web.flows(100)), 40);
  const quarter = 10.24; // of a second and 40: a tick is 256 ms
  let total = 0;
  for (let tick = 1; tick <= 8; tick++) {
    web.lb.pass(1);
    total += letIn(web, web.flows(100, { from: 40_000 + tick }));
    t.true(Math.abs(total - quarter * tick) <= 1, `${total} after ${tick} ticks`);
  }
  web.lb.passMs(60_000);
  t.is(letIn(web, web.flows(100, { from: 50_000 })), 40, 'what was not used for long is a second of it');
});

test('the first ACK of a handshake whose SYN was let in is not charged again; an ACK out of the blue is', async (t) => {
  const web = await open(t, { listener: limits({ newSessionsPerSecond: 10 }) });
  t.is(letIn(web, web.flows(10), 'S'), 10);
  t.is(letIn(web, web.flows(10), 'A'), 10);
  t.is(letIn(web, web.flows(10), 'PA'), 10);
  t.is(letIn(web, web.flows(20, { from: 41_000 }), 'A'), 0);
  web.lb.passMs(10_000);
  t.is(letIn(web, web.flows(20, { from: 42_000 }), 'A'), 10);
  t.deepEqual(web.lb.reasons(), { DROP_CONNECTION_RATE: 30 });
});

test('a receipt is good for one flow and for a minute', async (t) => {
  const web = await open(t, { listener: limits({ newSessionsPerSecond: 1 }) });
  t.true(isIn(web.send({}, 'S')));
  t.true(isIn(web.send({}, 'A')));
  web.lb.sessions.clear(web.session({})!);
  t.is(web.send({}, 'A'), 'DROP', 'once more without a session: it is charged');
  web.lb.passMs(2000);
  t.true(isIn(web.send({ client: 2 }, 'S')));
  web.lb.passMs(63_000);
  t.true(isIn(web.send({ client: 3 }, 'S')));
  t.is(web.send({ client: 2 }, 'A'), 'DROP', 'its SYN was more than a minute ago');
});

test('UDP is charged with the first packet, and no more while the session lasts', async (t) => {
  const web = await open(t, { listener: limits({ newSessionsPerSecond: 10 }) });
  const flows = web.flows(20, { udp: true });
  t.is(letIn(web, flows), 10);
  t.is(letIn(web, flows), 10);
  t.is(letIn(web, flows.slice(0, 10)), 10);
});

test('the LoadBalancer has a limit of its own over all its listeners; a flow that one refuses is charged to none', async (t) => {
  const web = await open(t, { listener: limits({ newSessionsPerSecond: 8 }), limits: { newSessionsPerSecond: 12 } });
  t.is(letIn(web, web.flows(20, { to: 80 })), 8);
  t.is(letIn(web, web.flows(20, { to: 443 })), 4, 'the LoadBalancer has no more');
  const [of80, of443, whole] = ['tcp-80', 'tcp-443', null].map((name) => busy(web, name));
  t.is(of80! / of443!, 2n);
  t.true(whole! > 0n);
  t.deepEqual(refusedBy(web, 'tcp-80'), [0, 12, 0, 0, 0, 0]);
  t.deepEqual(refusedBy(web, 'tcp-443'), [0, 0, 0, 0, 0, 0]);
  t.deepEqual(refusedBy(web, null), [0, 16, 0, 0, 0, 0]);
});

function limitId(web: Web, listener: string | null): number {
  for (const limit of web.lb.compiled!.limits.values())
    if ((limit.listener?.name ?? null) === listener) return limit.id;
  throw new Error(`no limit of ${listener}`);
}

function busy(web: Web, listener: string | null): bigint {
  return web.lb.control.limitRows.row(limitId(web, listener)).busyUntil;
}

function refusedBy(web: Web, listener: string | null): number[] {
  const id = limitId(web, listener);
  return web.lb.control.limitRows.refusals(id)(id).map(Number);
}

/* ---- sessions at once ------------------------------------------------------------------- */

test('as many sessions as the limit says, and a closed one makes room', async (t) => {
  const web = await open(t, { listener: limits({ sessions: 5 }) });
  const flows = web.flows(8);
  for (const flow of flows.slice(0, 5)) {
    t.true(isIn(web.send(flow, 'S')));
    t.true(isIn(web.establish(flow)));
  }
  t.is(web.send(flows[5]!, 'S'), 'DROP');
  t.is(web.send(flows[5]!, 'A'), 'DROP');
  t.is(letIn(web, flows.slice(0, 5), 'A'), 5, 'those that there are go on');
  web.send(flows[2]!, 'FA');
  t.true(isIn(web.send(flows[5]!, 'S')));
  t.true(isIn(web.send(flows[5]!, 'A')));
  t.is(web.send(flows[6]!, 'S'), 'DROP');
  t.deepEqual(web.lb.reasons(), { DROP_SESSION_LIMIT: 3 });
});

test('handshakes that began below the limit may end a quarter above it, no further', async (t) => {
  const web = await open(t, { listener: limits({ sessions: 8 }) });
  const flows = web.flows(30);
  t.is(letIn(web, flows, 'S'), 30, 'a SYN leaves no session: nobody knows which of them will be one');
  t.is(letIn(web, flows, 'A'), 10);
  t.is(web.send({ client: 40 }, 'S'), 'DROP');
});

test('a count of the table corrects what was counted since, and loses nothing that is made meanwhile', async (t) => {
  const web = await open(t, { listener: limits({ sessions: 100 }) });
  const rows = web.lb.control.limitRows;
  const id = limitId(web, 'udp-53');
  const flows = web.flows(30, { udp: true });
  t.is(letIn(web, flows.slice(0, 20)), 20);
  const settle = rows.count(web.lb.compiled!.limits.values());
  const open20 = new Uint32Array(65_536);
  for (const service of web.lb.compiled!.limits.get(id)!.services) open20[service] = 10;
  t.is(letIn(web, flows.slice(20)), 10, 'ten more while the table is walked');
  settle(open20);
  const live = (): number => {
    const { base, made, ended } = rows.row(id);
    return Number(BigInt.asIntN(64, base + made - ended));
  };
  t.is(live(), 30, 'counted on both addresses: 20; made since: 10');
  rows.count(web.lb.compiled!.limits.values())(open20);
  t.is(live(), 20);
});

test('a limit that is set on a listener with sessions counts from zero until the next count', async (t) => {
  const web = await open(t, { listener: limits({ newSessionsPerSecond: 1000 }) });
  t.is(letIn(web, web.flows(10, { udp: true })), 10);
  await set(web, { listener: limits({ newSessionsPerSecond: 1000, sessions: 4 }) });
  t.is(letIn(web, web.flows(10, { udp: true, from: 41_000 })), 4);
});

/* ---- bandwidth and packets ------------------------------------------------------------- */

test('over its bits or packets a second a listener takes no new flows; its sessions go on', async (t) => {
  const web = await open(t, { listener: limits({ bitsPerSecond: 1000, packetsPerSecond: 10 }) });
  const backend = web.establish({});
  const id = limitId(web, 'tcp-80');
  for (const [kinds, reason] of [
    [1, 'DROP_BANDWIDTH_LIMIT'],
    [2, 'DROP_PACKET_LIMIT'],
    [3, 'DROP_BANDWIDTH_LIMIT'],
  ] as const) {
    const before = web.lb.reasons()[reason] ?? 0;
    web.lb.control.limitRows.setOver(id, kinds, 0);
    t.is(web.send({ client: 2 }, 'S'), 'DROP');
    t.is(web.lb.reasons()[reason], before + 1);
    t.is(web.send({}), backend);
  }
  web.lb.control.limitRows.setOver(id, 0, 0);
  t.true(isIn(web.send({ client: 2 }, 'S')));
});

test('a handshake that was let in goes on when the listener is over meanwhile', async (t) => {
  const web = await open(t, { listener: limits({ bitsPerSecond: 1000 }) });
  t.true(isIn(web.send({}, 'S')));
  web.lb.control.limitRows.setOver(limitId(web, 'tcp-80'), 1, 0);
  t.true(isIn(web.send({}, 'A')));
});

test('what was measured two seconds ago is not believed any more: without an agent nobody is kept out', async (t) => {
  const web = await open(t, { listener: limits({ bitsPerSecond: 1000 }) });
  web.lb.control.limitRows.setOver(limitId(web, 'tcp-80'), 1, 0);
  web.lb.pass(8);
  t.is(web.send({}, 'S'), 'DROP');
  web.lb.pass(1);
  t.true(isIn(web.send({}, 'S')));
});

/* ---- new sessions a second of one client ------------------------------------------------- */

test('each client has its own rate; IPv6 clients of one /64 are one', async (t) => {
  const web = await open(t, { listener: limits({ newSessionsPerSecondPerSource: 4 }) });
  const ports = Array.from({ length: 10 }, (_, i) => 40_000 + i);
  for (const client of [1, 2, 3])
    t.is(
      letIn(
        web,
        ports.map((from) => ({ client, from })),
      ),
      4,
    );
  const six = ports.map((from, i) => ({ client: i + 1, from, v6: true }));
  t.is(letIn(web, six), 4, 'ten addresses of one /64');
  web.lb.passMs(1024);
  t.is(
    letIn(
      web,
      ports.map((from) => ({ client: 1, from: from + 100 })),
    ),
    4,
  );
});

/* ---- off ------------------------------------------------------------------------------- */

test('limits that go leave nothing behind', async (t) => {
  const web = await open(t, {
    lists: [list('198.51.100.200')],
    listener: { ...by('DENY'), ...limits({ newSessionsPerSecond: 1, sessions: 1 }) },
    limits: { sessions: 1 },
  });
  t.is(web.lb.control.read().limits.size, 4);
  await set(web, {});
  const read = web.lb.control.read();
  t.is(read.limits.size, 0);
  t.is(read.access.size, 0);
  const rows = new Uint8Array(web.lb.maps.limits.mmap());
  t.true(rows.every((byte) => byte === 0));
  t.is(letIn(web, web.flows(50)), 50);
});

test('a limit that changes keeps what it has counted', async (t) => {
  const web = await open(t, { listener: limits({ newSessionsPerSecond: 10 }) });
  t.is(letIn(web, web.flows(20)), 10);
  await set(web, { listener: limits({ newSessionsPerSecond: 20 }) });
  const at = limitId(web, 'tcp-80') * limitSize + limitOffset.busyUntil;
  t.true(new DataView(web.lb.maps.limits.mmap()).getBigUint64(at, true) > 0n);
  t.is(letIn(web, web.flows(20, { from: 41_000 })), 0, 'the second is used up, at whatever rate');
  web.lb.passMs(512);
  t.is(letIn(web, web.flows(20, { from: 42_000 })), 10);
});
