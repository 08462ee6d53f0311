import test from 'ava';
import type { messages } from '../../../src/api/client.js';
import { type Handlers, refuse, startFakeAgent } from './fake_agent.js';
import { spillway } from './spillway.js';

/** A backend whose sessions end one by one, with each question. */
function draining(options: { sessions: number; stale?: number }) {
  const updates: messages.UpdateBackendRequest[] = [];
  let left = options.sessions;
  let stale = options.stale ?? 0;
  const handlers: Handlers = {
    ConfigService: {
      updateBackend(request) {
        updates.push(request);
        return request.backend!;
      },
    },
    StatusService: {
      get: () => ({
        listeners: [
          { backendGroup: 'pool', backends: [{ name: 'be1', traffic: { activeSessions: Math.max(0, left--) } }] },
          { backendGroup: 'other', backends: [{ name: 'be1', traffic: { activeSessions: 99 } }] },
        ],
      }),
    },
    SessionService: {
      // The first page is empty and not the last: filters may skip a whole page of the table.
      list: ({ pageToken }) =>
        pageToken === '' ? { nextPageToken: 'x' } : { sessions: stale-- > 0 ? [{ backend: 'be1' }] : [] },
    },
  };
  return { handlers, updates };
}

test('drain sets the weight of that backend to 0 and nothing else', async (t) => {
  const { handlers, updates } = draining({ sessions: 0 });
  const agent = await startFakeAgent(handlers);
  t.teardown(agent.close);
  const run = await spillway(['drain', 'pool/be1'], agent);
  t.is(run.stdout, 'pool/be1: drains, gets no new sessions\n');
  t.like(updates[0], { backendGroup: 'pool', backend: { name: 'be1', weight: 0 }, updateMask: { paths: ['weight'] } });
  const back = await spillway(['weight', 'pool/be1', '100', '--json'], agent);
  t.like(JSON.parse(back.stdout), { name: 'be1', weight: 100 });
});

test('drain --wait shows what is left and ends when nothing is', async (t) => {
  const agent = await startFakeAgent(draining({ sessions: 2 }).handlers);
  t.teardown(agent.close);
  const run = await spillway(['drain', 'pool/be1', '--wait'], agent);
  t.is(run.code, 0);
  t.regex(run.stderr, /^pool\/be1: 2 sessions left\n/);
  t.regex(run.stdout, /^pool\/be1: drained, no session left after \d+s\n$/);
});

test('drain --wait does not believe a count from before the drain: the table has the last word', async (t) => {
  const agent = await startFakeAgent(draining({ sessions: 0, stale: 2 }).handlers);
  t.teardown(agent.close);
  const run = await spillway(['drain', 'pool/be1', '--wait', '--json'], agent);
  t.is(run.code, 0);
  t.regex(run.stderr, /1 session left/);
  t.like(JSON.parse(run.stdout), { remaining: 0, backend: { weight: 0 } });
});

test('drain --wait gives up after --timeout with 1, and says how to go on', async (t) => {
  const agent = await startFakeAgent(draining({ sessions: 1_000_000 }).handlers);
  t.teardown(agent.close);
  const run = await spillway(['drain', 'pool/be1', '--wait', '--timeout', '700ms'], agent);
  t.is(run.code, 1);
  t.regex(
    run.stderr,
    /still has 999,99\d sessions after 700 ms; it stays at weight 0\n.*spillway drain pool\/be1 --wait/,
  );
});

test('a backend that is not there is refused in the words of the agent', async (t) => {
  const agent = await startFakeAgent({
    ConfigService: {
      updateBackend() {
        throw refuse('NOT_FOUND', 'no backend "pool/be9"');
      },
    },
  });
  t.teardown(agent.close);
  const run = await spillway(['drain', 'pool/be9'], agent);
  t.is(run.code, 1);
  t.is(run.stderr, 'spillway: no backend "pool/be9"\n');
});
