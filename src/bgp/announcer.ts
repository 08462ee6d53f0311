import type { RoutesConfig } from '../config/cluster.js';
import { openBirdAnnouncer } from './bird.js';
import { openKernelTableAnnouncer } from './kernel-table.js';
import { noAnnouncer } from './none.js';
import type { AnnouncerDeps } from './system.js';
import type { Announcer } from './types.js';

export { type AnnouncerDeps, systemDeps } from './system.js';
export { openBirdAnnouncer, openKernelTableAnnouncer };

/** What keeps this node's routes. Resolves even when its engine is not to be had: `status` says why. */
export async function openAnnouncer(config: RoutesConfig | null, deps: AnnouncerDeps): Promise<Announcer> {
  switch (config?.kind) {
    case 'bird':
      return await openBirdAnnouncer(config, deps);
    case 'kernel':
      return await openKernelTableAnnouncer(config, deps);
    default:
      return noAnnouncer();
  }
}

/**
 * For a node whose agent is not there: takes its routes away, and ends a BIRD that is kept by Spillway.
 * @throws UnavailableError: they may still be announced, and why
 */
export async function withdrawRoutes(config: RoutesConfig, deps: AnnouncerDeps): Promise<void> {
  const announcer =
    config.kind === 'bird'
      ? await openBirdAnnouncer(config, deps, { start: false })
      : await openAnnouncer(config, deps);
  await announcer.close({ withdraw: true });
}
