import test from 'ava';
import { openSystemd } from '../../../src/agent/systemd.js';
import { FakeClock } from '../health/fakes.js';

function open(env: NodeJS.ProcessEnv, fault: Error | null = null) {
  const clock = new FakeClock();
  const sent: (readonly [path: string, state: string])[] = [];
  const send = (path: string, state: string): void => {
    sent.push([path, state]);
    if (fault) throw fault;
  };
  return { clock, sent, systemd: openSystemd(env, { clock, pid: 42, send }) };
}

test('systemd hears of readiness, of each new status once, and of the end', (t) => {
  const { sent, systemd } = open({ NOTIFY_SOCKET: '/run/notify' });
  systemd.status('joining');
  systemd.status('joining');
  systemd.ready();
  systemd.status('active');
  systemd.stopping(70_000);
  t.deepEqual(sent, [
    ['/run/notify', 'STATUS=joining'],
    ['/run/notify', 'READY=1'],
    ['/run/notify', 'STATUS=active'],
    ['/run/notify', 'STOPPING=1\nEXTEND_TIMEOUT_USEC=70000000'],
  ]);
});

test('the watchdog hears twice in its time, from readiness to the end', (t) => {
  const { clock, sent, systemd } = open({ NOTIFY_SOCKET: '@x', WATCHDOG_USEC: '3000000', WATCHDOG_PID: '42' });
  clock.advance(10_000);
  t.is(sent.length, 0);
  systemd.ready();
  clock.advance(6000);
  t.is(sent.filter(([, state]) => state === 'WATCHDOG=1').length, 5);
  systemd.close();
  clock.advance(6000);
  t.is(clock.timers, 0);
});

test('a watchdog for another process is not fed', (t) => {
  const { clock, sent, systemd } = open({ NOTIFY_SOCKET: '@x', WATCHDOG_USEC: '3000000', WATCHDOG_PID: '41' });
  systemd.ready();
  clock.advance(6000);
  t.deepEqual(
    sent.map(([, state]) => state),
    ['READY=1'],
  );
});

test('without systemd nothing is sent', (t) => {
  const { clock, sent, systemd } = open({});
  systemd.ready();
  systemd.status('active');
  systemd.stopping(1);
  clock.advance(6000);
  t.deepEqual(sent, []);
});

test('what the agent starts does not speak in its name', (t) => {
  const env = { NOTIFY_SOCKET: '@x', WATCHDOG_USEC: '1', WATCHDOG_PID: '42', PATH: '/bin' };
  open(env);
  t.deepEqual(env as object, { PATH: '/bin' });
});

test('a systemd that does not listen ends no load balancer', (t) => {
  const { systemd } = open({ NOTIFY_SOCKET: '/gone' }, new Error('ECONNREFUSED'));
  t.notThrows(() => systemd.ready());
});
