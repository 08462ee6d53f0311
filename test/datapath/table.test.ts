/** The session table under load: who stays, who goes, and that each that goes is counted. */
import test, { type ExecutionContext } from 'ava';
import { SessionState } from '../../src/abi/abi.generated.js';
import { pinToCpu } from '../support/pin_cpu.js';
import { clientOf, type Flow, openWeb, type Web } from './web.js';

test.before(() => pinToCpu(0));

/** Distinct flows: 60,000 ports each of as many clients as it takes. */
function manyFlows(count: number, firstPort = 1024): Flow[] {
  const ports = 60_000;
  return Array.from({ length: count }, (_, i) => ({
    client: 1 + Math.floor(i / ports),
    from: firstPort + (i % ports),
  }));
}

interface Sent {
  readonly flow: Flow;
  readonly frame: Buffer;
  /** First bytes of the frame that left: the backend's address. */
  readonly backend: string;
}

/** Sends a packet of each flow `times` over. */
function sendAll({ lb, frame }: Web, flows: readonly Flow[], times: number): Sent[] {
  return flows.map((flow) => {
    const packet = frame(flow);
    let backend = '';
    for (let n = 0; n < times; n++) backend = lb.run(packet).frame.toString('hex', 0, 6);
    return { flow, frame: packet, backend };
  });
}

const events = ({ lb }: Web): Record<string, number> => lb.tableEvents();
const evictions = (web: Web): number => {
  const { TABLE_EVICTED_YOUNG = 0, TABLE_EVICTED_CLOSING = 0, TABLE_EVICTED_OLD = 0 } = events(web);
  return TABLE_EVICTED_YOUNG + TABLE_EVICTED_CLOSING + TABLE_EVICTED_OLD + (events(web)['TABLE_REUSED_EXPIRED'] ?? 0);
};

async function live(web: Web): Promise<{ total: number; established: number; young: number; unfinished: number }> {
  const { byState } = await web.lb.sessions.sweep({ timeouts: new Uint16Array(4 * 64).fill(0xffff) });
  const of = (state: number): number => byState[state]!;
  const [young, established] = [of(SessionState.SESSION_YOUNG), of(SessionState.SESSION_ESTABLISHED)];
  return { total: young + established + of(SessionState.SESSION_CLOSING), established, young, unfinished: of(0) };
}

/** The table has each of them, established, with the backend that it went to and its own client's detail. */
function allFound(t: ExecutionContext, web: Web, sent: readonly Sent[]): void {
  const macs = new Map(
    [...web.lb.compiled!.backends.values()].map(({ id, nextHopMac }) => [id, nextHopMac.replaceAll(':', '')]),
  );
  const wrong = sent.filter(({ flow, backend }) => {
    const entry = web.session(flow);
    const whole = entry?.state === SessionState.SESSION_ESTABLISHED && macs.get(entry.backend) === backend;
    return !whole || entry.detail?.clientPort !== flow.from || entry.detail?.client !== clientOf(flow.client ?? 1);
  });
  t.deepEqual(wrong.slice(0, 3), [], `${wrong.length} of ${sent.length} are missing or wrong`);
}

/** Another packet of each is forwarded by its session to the same backend: none is new, none without. */
function allTracked(t: ExecutionContext, web: Web, sent: readonly Sent[]): void {
  const count = (): { sessions: bigint; noSession: bigint } =>
    web.lb.counters.services(63)(web.lb.serviceId('192.0.2.10', 80));
  const before = count();
  const moved = sent.filter(({ frame, backend }) => web.lb.run(frame).frame.toString('hex', 0, 6) !== backend);
  t.is(moved.length, 0, 'packets that went to another backend');
  const after = count();
  t.is(Number(after.sessions - before.sessions), 0, 'sessions that began anew');
  t.is(Number(after.noSession - before.noSession), 0, 'packets without a session');
}

test.serial('filled to 80 % with live sessions: none is evicted, none untracked, each is found', async (t) => {
  const web = await openWeb(t, { buckets: 2 ** 14 });
  const slots = web.lb.sessions.slots;
  t.is(slots, 65_536);
  const sent = sendAll(web, manyFlows(Math.floor(slots * 0.8)), 2);
  t.log(`${sent.length} sessions in ${slots} slots:`, events(web));
  t.is(evictions(web), 0);
  t.is(events(web)['TABLE_NOT_TRACKED'], undefined);
  t.is(events(web)['TABLE_INSERTED'], sent.length);
  t.deepEqual(await live(web), { total: sent.length, established: sent.length, young: 0, unfinished: 0 });
  allTracked(t, web, sent);
  allFound(t, web, sent);
});

test.serial("a flood of new flows on a table 80 % full takes nobody else's place", async (t) => {
  const web = await openWeb(t, { buckets: 2 ** 12 });
  const slots = web.lb.sessions.slots;
  const sent = sendAll(web, manyFlows(Math.floor(slots * 0.8)), 2);
  sendAll(
    web,
    manyFlows(slots * 2, 2048).map((flow) => ({ ...flow, to: 443 })),
    1,
  );
  const { TABLE_EVICTED_YOUNG: young = 0, TABLE_EVICTED_OLD: old, TABLE_EVICTED_CLOSING: closing } = events(web);
  t.log(events(web));
  t.true(young > slots, 'the flood pays for itself');
  t.is(old, undefined);
  t.is(closing, undefined);
  allFound(t, web, sent);
  allTracked(t, web, sent);
  t.is(events(web)['TABLE_INSERTED']! - evictions(web), (await live(web)).total, 'each that went was counted');
});

test.serial('100 % full of fresh established sessions: what comes is not tracked, and those inside stay', async (t) => {
  const web = await openWeb(t, { buckets: 2 ** 12 });
  const slots = web.lb.sessions.slots;
  const flows = manyFlows(slots * 1.1);
  sendAll(web, flows, 2);
  const inside = flows.filter((flow) => web.state(flow) === 'established');
  const share = inside.length / slots;
  t.log(`${(100 * share).toFixed(2)} % of the slots hold established sessions:`, events(web));
  t.true(share > 0.97, 'nearly every slot is used before a flow is turned away');
  t.is(events(web)['TABLE_EVICTED_OLD'], undefined);
  const sent = sendAll(web, inside, 1);
  sendAll(
    web,
    manyFlows(slots, 1024).map((flow) => ({ ...flow, to: 443 })),
    1,
  );
  allTracked(t, web, sent);
  allFound(t, web, sent);
  t.is(events(web)['TABLE_INSERTED']! - evictions(web), (await live(web)).total);
});

test.serial(
  'idle for more than half of its timeout, an established session gives way; one in use does not',
  async (t) => {
    const web = await openWeb(t, { buckets: 2 ** 10, listener: { sessionTimeoutMs: 100_000 } });
    const slots = web.lb.sessions.slots;
    const flows = manyFlows(slots * 1.1);
    sendAll(web, flows, 2);
    const inside = flows.filter((flow) => web.state(flow) === 'established');
    const busy = inside.filter((_, i) => i % 2 === 0);
    const idle = inside.filter((_, i) => i % 2 === 1);
    web.lb.passMs(30_000);
    sendAll(web, busy, 1);
    web.lb.passMs(25_000);
    const before = events(web);
    sendAll(
      web,
      manyFlows(slots * 2).map((flow) => ({ ...flow, to: 443 })),
      2,
    );
    const after = events(web);
    const evicted = after['TABLE_EVICTED_OLD']! - (before['TABLE_EVICTED_OLD'] ?? 0);
    const gone = idle.filter((flow) => web.state(flow) === 'none').length;
    t.log(`${gone} of ${idle.length} idle sessions gave way:`, after);
    t.is(gone, evicted, 'each of them is counted');
    t.true(gone > idle.length * 0.9);
    t.is(busy.filter((flow) => web.state(flow) !== 'established').length, 0);
  },
);

test.serial('young sessions go before old ones, closing ones before young ones, expired ones first', async (t) => {
  const web = await openWeb(t, { buckets: 2, listener: { sessionTimeoutMs: 100_000 } });
  const [expired, closing, young, old, ...fresh] = manyFlows(8) as [Flow, Flow, Flow, Flow, ...Flow[]];
  const stages = (): string[] => [expired, closing, young, old].map((flow) => web.state(flow));
  sendAll(web, [expired], 1);
  web.lb.passMs(10_000);
  sendAll(web, [old], 2);
  web.lb.passMs(53_000);
  sendAll(web, [closing, ...fresh], 2);
  web.send(closing, 'FA');
  sendAll(web, [young], 1);
  t.deepEqual(stages(), ['young', 'closing', 'young', 'established'], 'eight slots, eight sessions');
  const expectations = ['TABLE_REUSED_EXPIRED', 'TABLE_EVICTED_CLOSING', 'TABLE_EVICTED_YOUNG', 'TABLE_EVICTED_OLD'];
  manyFlows(4, 50_000).forEach((flow, i) => {
    sendAll(web, [flow], 2);
    t.is(events(web)[expectations[i]!], 1, expectations[i]);
    t.deepEqual(stages().slice(0, i + 1), Array(i + 1).fill('none'));
    t.is(web.state(flow), 'established');
  });
  sendAll(web, manyFlows(1, 60_000), 2);
  t.is(events(web)['TABLE_NOT_TRACKED'], 2);
  t.is(fresh.filter((flow) => web.state(flow) !== 'established').length, 0);
});

test.serial('entries moved to their other bucket keep their detail, their state and their backend', async (t) => {
  const web = await openWeb(t, { buckets: 2 ** 10 });
  const sent = sendAll(web, manyFlows(Math.floor(web.lb.sessions.slots * 0.95)), 2);
  const moved = events(web)['TABLE_MOVED'] ?? 0;
  t.log(events(web));
  t.true(moved > 50, `${moved} moved`);
  const inside = sent.filter(({ flow }) => web.state(flow) === 'established');
  t.true(inside.length > sent.length * 0.99);
  t.is(events(web)['TABLE_INSERTED']! - evictions(web), (await live(web)).total);
  allFound(t, web, inside);
});
