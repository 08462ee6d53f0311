/**
 * A new agent over what the one before left, under traffic whose sessions alone know where it goes (WRR): no packet is
 * lost, no session leaves its backend. SPILLWAY_UPGRADE_FROM names a built checkout of another release: its agent is the
 * one before. Without it that is this one, whose pins are made into what layout 2 had.
 */
import { rmSync, writeFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { layoutVersion } from '../../src/dataplane/layout.js';
import type { Agent } from '../support/lab/agent.js';
import { Cluster, echoPort } from '../support/lab/cluster.js';
import { group, quickCheck, tcp, udp, web } from '../support/lab/desired.js';
import { vip4 } from '../support/lab/lab.js';
import { until } from '../support/lab/until.js';

const before = process.env['SPILLWAY_UPGRADE_FROM'] ?? null;
const desired = web(
  [tcp(80, 'servers', { healthCheck: quickCheck, scheduler: 'WRR' }), udp(echoPort, 'servers', { scheduler: 'WRR' })],
  [group('servers')],
);

let cluster: Cluster;
test.before(async () => {
  cluster = await Cluster.start(`at-u-${process.pid}`);
});
test.after.always(() => cluster?.close());

/** Requests and datagrams over both load balancers while `task` runs: all are answered, by whom they always were. */
async function underTraffic(t: ExecutionContext, task: () => Promise<unknown>): Promise<void> {
  const { client } = cluster;
  await client.call('startEcho', { as: 'echo', address: vip4, port: echoPort, flows: 16, perSecond: 100 });
  await client.call('startRequests', { as: 'http', address: vip4, port: 80, perSecond: 50 });
  await until('traffic flows', async () => (await client.call('echoReport', 'echo')).received > 400);
  await task();
  const [echo, http] = [await client.call('stopEcho', 'echo'), await client.call('stopRequests', 'http')];
  t.log(`${echo.sent} datagrams, ${echo.sent - echo.received} lost`);
  t.deepEqual(http.failures, []);
  t.deepEqual(echo.missing.flat(), [], `of ${echo.sent} datagrams`);
  t.is(echo.duplicates, 0);
  for (const backends of echo.backends) t.is(backends.length, 1, 'a session stays with its backend');
}

/** What an agent on these pins finds. */
async function echoSessions({ client }: Agent): Promise<string[]> {
  const { sessions } = await client.sessions.list({ filter: { protocol: 'UDP', state: 'ESTABLISHED' } });
  return sessions.map(({ clientPort, backend }) => `${clientPort} ${backend}`).sort();
}

async function restart(agent: Agent, change: () => void): Promise<void> {
  await agent.kill('SIGTERM');
  change();
  await agent.start();
}

test.serial('the agent of this release over the pins of the one before', async (t) => {
  if (before !== null) {
    for (const agent of cluster.agents) {
      await agent.kill('SIGTERM');
      await agent.run('--detach');
      agent.checkout = before;
      await agent.start();
    }
  }
  await cluster.apply(desired);
  await cluster.allHealthy();
  await underTraffic(t, async () => {
    for (const agent of cluster.agents) {
      const sessions = await echoSessions(agent);
      t.true(sessions.length > 0);
      await restart(agent, () => {
        agent.checkout = null;
        if (before === null) rmSync(`${agent.pins}/map/session_log`);
      });
      t.deepEqual(await echoSessions(agent), sessions);
      t.deepEqual((await agent.client.status.get()).problems, []);
      t.regex(agent.log, /"adopted":true/);
      t.is((await agent.client.node.getVersion()).layoutVersion, layoutVersion);
    }
  });
});

/* Only what both know of has to be right: what the release before does not know, it leaves alone. */
if (before !== null) {
  test.serial('back to the release before, and forth again', async (t) => {
    await underTraffic(t, async () => {
      for (const checkout of [before, null]) {
        for (const agent of cluster.agents) {
          const sessions = await echoSessions(agent);
          await restart(agent, () => {
            agent.checkout = checkout;
          });
          t.deepEqual(await echoSessions(agent), sessions);
          t.deepEqual((await agent.client.status.get()).problems, []);
        }
      }
    });
  });
}

for (const [name, sessions] of [
  ['more', 250_000],
  ['fewer', 5_000],
] as const) {
  test.serial(`limits.sessions asks for ${name}: the table is made anew under the traffic`, async (t) => {
    await underTraffic(t, async () => {
      for (const agent of cluster.agents) {
        const had = await echoSessions(agent);
        await restart(agent, () => agent.configure({ limits: { sessions, backends: 4096, backendGroups: 64 } }));
        t.deepEqual(await echoSessions(agent), had);
        const { sessionTable, problems } = await agent.client.status.get();
        t.is(Number(sessionTable?.slots), Math.ceil(sessions / 3.2) * 4);
        t.deepEqual(problems, []);
        t.regex(agent.log, /sessions were brought into a table of another size/);
      }
    });
  });
}

test.serial('a rolling upgrade by one command', async (t) => {
  const pids = cluster.agents.map(({ pid }) => pid);
  await underTraffic(t, async () => {
    for (const to of before === null ? [null] : [before, null]) {
      const { code, stdout, stderr } = await cluster.lab.upgrade(to);
      t.is(code, 0, stderr);
      t.regex(stdout, /^lb1: pid \d+ -> \d+, \w+, back in \d+ ms\nlb2: pid \d+ -> \d+/);
      t.log(stdout);
    }
  });
  for (const [i, { client, lab, host }] of cluster.agents.entries()) {
    const { node } = await client.status.get({ summary: true });
    t.not(node?.pid, pids[i]);
    t.is((await lab.must(host, 'cat', `/proc/${node?.pid}/cmdline`)).split('\0')[2], '--config');
  }
});

test.serial('a rolling upgrade stops at a node that does not come back, and the others are as they were', async (t) => {
  const checkout = cluster.lab.directory('broken', 'scripts', 'bin');
  writeFileSync(`${checkout}/spillwayd`, '#!/bin/sh\necho "cannot start: it is broken" >&2\nexit 1\n', { mode: 0o755 });
  const [first, second] = cluster.agents;
  const pid = (await second.client.status.get({ summary: true })).node?.pid;
  await underTraffic(t, async () => {
    const { code, stderr } = await cluster.lab.upgrade(cluster.lab.directory('broken'));
    t.is(code, 1);
    t.regex(
      stderr,
      /lb1: the agent of \S+\/broken ended:\n.*it is broken\n.*stopped at lb1; upgraded: none; as they were: lb2/s,
    );
    t.is((await second.client.status.get({ summary: true })).node?.pid, pid);
    await first.start();
  });
});
