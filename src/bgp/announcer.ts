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
