import type { Clock } from '../health/ports.js';

/** sd_notify(3): systemd is told that the agent serves, what it does, and that it is alive. Elsewhere: nothing. */
export interface Systemd {
  ready(): void;
  /** Shown by systemctl status; what was said last is not said again. */
  status(text: string): void;
  /** @param withinMs longest that it takes from here to the end. */
  stopping(withinMs: number): void;
  close(): void;
}

/**
 * Takes what concerns it out of `env`: BIRD, which the agent starts and which outlives it, is not to speak in its name.
 * @param send a datagram to the socket; it may throw, for systemd that does not listen ends no load balancer.
 */
export function openSystemd(
  env: NodeJS.ProcessEnv,
  {
    clock,
    pid,
    send,
  }: { readonly clock: Clock; readonly pid: number; readonly send: (path: string, state: string) => void },
): Systemd {
  const { NOTIFY_SOCKET: socket, WATCHDOG_PID: watched, WATCHDOG_USEC: watchdogUs } = env;
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC']) delete env[name];
  let said = '';
  let cancel = (): void => {};
  const tell = (state: string): void => {
    if (socket === undefined || socket === '') return;
    try {
      send(socket, state);
    } catch {
      // There is nobody else to tell it to, and the next one may get through.
    }
  };
  const everyMs = Number(watchdogUs ?? 0) / 2000;
  const meant = watched === undefined || Number(watched) === pid;
  const keepAlive = (): void => {
    tell('WATCHDOG=1');
    cancel = clock.after(everyMs, keepAlive);
  };
  return {
    ready() {
      tell('READY=1');
      if (meant && everyMs > 0) keepAlive();
    },
    status(text) {
      if (text === said) return;
      said = text;
      tell(`STATUS=${text}`);
    },
    stopping: (withinMs) => tell(`STOPPING=1\nEXTEND_TIMEOUT_USEC=${Math.ceil(withinMs * 1000)}`),
    close: () => cancel(),
  };
}
