/** `explain` says of a new flow what the data path then does with it, and changes nothing. */
import test from 'ava';
import { Reason } from '../../src/abi/abi.generated.js';
import { refusalOf } from '../../src/agent/explain-admission.js';
import { Random } from '../support/random.js';
import { withAdmission } from '../support/random_admission.js';
import { client6Of, clientOf, type Flow, openWeb, vip4, vip6, type Web, webDesired } from './web.js';

/** The word of the reason that a SYN, or a datagram, of this flow is dropped for; null: it goes to a backend. */
function sent(web: Web, flow: Flow): string | null {
  const before = web.lb.reasons();
  if (web.send(flow, 'S').startsWith('be')) return null;
  const after = web.lb.reasons();
  const [name] = (Object.keys(Reason) as (keyof typeof Reason)[]).filter((one) => after[one] !== before[one]);
  return name!.replace('DROP_', '').toLowerCase();
}

test('whatever lists and limits there are, what is said is what happens', async (t) => {
  t.timeout(60_000);
  const random = new Random();
  t.log(`seed ${random.seed}`);
  const seen = new Map<string, number>();
  const web = await openWeb(t, { buckets: 256, sourceCells: 1024 });
  for (let round = 0; round < 60; round++) {
    await web.set(withAdmission(random, webDesired()));
    for (let n = 0; n < 60; n++) {
      if (random.chance(0.05)) web.lb.pass(random.pick([1, 2, 4]));
      if (random.chance(0.05)) {
        const ids = [...web.lb.compiled!.limits.keys()];
        if (ids.length > 0) web.lb.control.limitRows.setOver(random.pick(ids), random.below(4), 0);
      }
      const udp = random.chance(0.3);
      const v6 = random.chance(0.5);
      const flow: Flow = { client: 1 + random.below(40), from: random.below(65_536), udp, v6, to: udp ? 53 : 80 };
      if (web.session(flow)) continue;
      const service = web.lb.compiled!.services.get(web.lb.serviceId(v6 ? vip6 : vip4, flow.to!, udp ? 17 : 6))!;
      const client = v6 ? client6Of(flow.client!) : clientOf(flow.client!);
      const steps: string[] = [];
      const { compiled, control, key } = web.lb;
      const said = refusalOf({ client, service, compiled: compiled!, control, key }, steps);
      const happened = sent(web, flow);
      if (said !== happened) t.log(steps);
      t.is(said as string | null, happened, `round ${round}, flow ${n}`);
      seen.set(String(happened), (seen.get(String(happened)) ?? 0) + 1);
    }
  }
  t.log(Object.fromEntries(seen));
  t.is(seen.size, 7, 'every refusal, and none');
});

test('each step says which list or limit it was, and how far it is used up', async (t) => {
  const web = await openWeb(t);
  const limits = {
    newSessionsPerSecond: 0,
    sessions: 2,
    bitsPerSecond: 0,
    packetsPerSecond: 0,
    newSessionsPerSecondPerSource: 0,
  };
  const desired = webDesired({ listener: { limits, accessControl: { mode: 'ALLOW', accessList: 'friends' } } });
  const entries = [{ address: '198.51.100.0', bits: 24 }];
  await web.set({ ...desired, accessLists: [{ name: 'friends', entries, description: '' }] });
  const ask = (client: string): [string | null, string[]] => {
    const steps: string[] = [];
    const { compiled, control, key } = web.lb;
    const service = compiled!.services.get(web.lb.serviceId(vip4, 80))!;
    return [refusalOf({ client, service, compiled: compiled!, control, key }, steps), steps];
  };
  t.deepEqual(ask('192.0.2.99'), [
    'access_denied',
    ['the listener allows clients of access list friends: 192.0.2.99 is not on it'],
  ]);
  const listed = 'the listener allows clients of access list friends: 198.51.100.1 is on it';
  t.deepEqual(ask('198.51.100.1'), [null, [listed, 'the limit of the listener has room for it']]);
  web.establish({ client: 1 });
  web.establish({ client: 2 });
  t.deepEqual(ask('198.51.100.1'), [
    'session_limit',
    [listed, 'the limit of the listener has no room: 2 of 2 sessions'],
  ]);
});
