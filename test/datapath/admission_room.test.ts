/** Limits and a table that is full: a flow that was let in without a session is not asked again for each packet. */
import test from 'ava';
import { noLimits } from '../../src/config/desired.js';
import { type Flow, openWeb, type Web, webDesired } from './web.js';

const limits = { ...noLimits, newSessionsPerSecond: 4 };

/** All slots are taken by sessions in use; only then anything is limited. */
async function openFull(t: { teardown(f: () => void): void }): Promise<Web> {
  const web = await openWeb(t, { buckets: 2 });
  for (const flow of web.flows(16, { to: 443 })) web.establish(flow);
  await web.set(webDesired({ listener: { limits } }));
  return web;
}

for (const udp of [false, true]) {
  const name = udp ? 'UDP' : 'TCP';
  const [first, next] = udp ? ['', ''] : ['S', 'A'];

  test(`a ${name} flow for which the table has no room goes on, though the limit is used up`, async (t) => {
    const web = await openFull(t);
    const flow: Flow = { from: 50_000, udp };
    const went = web.send(flow, first);
    t.not(went, 'DROP');
    for (let packet = 0; packet < 50; packet++) t.is(web.send(flow, next), went, `packet ${packet}`);
    t.is(web.session(flow), null);
    const others = web.flows(10, { from: 60_000, udp }).map((other) => web.send(other, first));
    t.is(others.filter((one) => one !== 'DROP').length, 3, 'each flow was charged once');
    for (let second = 0; second < 100; second += 20) {
      web.lb.passMs(20_000);
      for (const full of web.flows(16, { to: 443 })) web.send(full);
      t.is(web.send(flow, next), went, `after ${second} s`);
    }
  });
}
