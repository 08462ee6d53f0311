/** A program of the tests: announcers of routes in the network namespace that it runs in. */
import { openAnnouncer, systemDeps, withdrawRoutes } from '../../../src/bgp/announcer.js';
import type { Announcer, Route, RoutesStatus } from '../../../src/bgp/types.js';
import type { RoutesConfig } from '../../../src/config/cluster.js';
import { NetlinkSocket } from '../../../src/dataplane/addon.js';
import { type Methods, serve } from './peer.js';

let announcer: Announcer | null = null;
let notices = 0;
const log: string[] = [];

const note = (fields: object, message: string): void => void log.push(`${message} ${JSON.stringify(fields)}`);

const methods = {
  /** One at a time; the one before is left behind, as by an agent that was killed. */
  async open(config: RoutesConfig): Promise<RoutesStatus> {
    const logger = { debug: note, info: note, warn: note, error: note };
    announcer = await openAnnouncer(config, systemDeps({ log: logger, NetlinkSocket }));
    announcer.onChange(() => notices++);
    return announcer.status();
  },
  /** Milliseconds, or why not. */
  async set(routes: readonly Route[]): Promise<{ readonly tookMs: number; readonly error: string }> {
    const startedMs = performance.now();
    const error = await announcer!.set(routes).then(
      () => '',
      (refusal: Error) => `${refusal.name}: ${refusal.message}`,
    );
    return { tookMs: performance.now() - startedMs, error };
  },
  /** All told before any is waited for. */
  async setMany(sets: readonly (readonly Route[])[]): Promise<void> {
    await Promise.all(sets.map((routes) => announcer!.set(routes)));
  },
  /** Each when the one before is in force. */
  async setInTurn(sets: readonly (readonly Route[])[]): Promise<void> {
    for (const routes of sets) await announcer!.set(routes);
  },
  /** As `spillwayd --detach` does it. */
  async withdrawRoutes(config: RoutesConfig): Promise<string> {
    const logger = { debug: note, info: note, warn: note, error: note };
    return await withdrawRoutes(config, systemDeps({ log: logger, NetlinkSocket })).then(
      () => '',
      (error: Error) => error.message,
    );
  },
  status: (): RoutesStatus => announcer!.status(),
  notices: (): number => notices,
  log: (): readonly string[] => log,
  async close(options: { readonly withdraw: boolean }): Promise<string> {
    return await announcer!.close(options).then(
      () => '',
      (error: Error) => error.message,
    );
  },
} satisfies Methods;

export type AnnouncerMethods = typeof methods;

serve(methods);
