import type { Life } from './types.js';

/** Where a node is in its life. Immutable: `step` makes the next. */
export interface LifeState {
  readonly life: Life;
  /** While joining: an agent before this one announced, packets come, and withdrawing would break what runs. */
  readonly takesOver: boolean;
  /** On the clock of the events; null: not yet. */
  readonly joinedAtMs: number | null;
  /** No ACTIVE node of this node's zone was there when it joined, and it did not take over. */
  readonly zoneWasGone: boolean;
}

export type LifeEvent =
  /** `withdrawn`: somebody drained this node, and nobody activated it since. */
  | { readonly event: 'start'; readonly withdrawn: boolean; readonly takesOver: boolean }
  /** Neither a router nor another node is there: nothing comes, and what the others do meanwhile is not heard. */
  | { readonly event: 'isolated' }
  | { readonly event: 'joined'; readonly atMs: number; readonly zoneIsGone: boolean }
  | { readonly event: 'drain' }
  /** The traffic has gone. */
  | { readonly event: 'drained' }
  | { readonly event: 'activate' };

export const unborn: LifeState = { life: 'joining', takesOver: false, joinedAtMs: null, zoneWasGone: false };

/** The same state (the same object) where an event changes nothing: commands may come twice. */
export function step(state: LifeState, event: LifeEvent): LifeState {
  switch (event.event) {
    case 'start':
      if (event.withdrawn) return { ...unborn, life: 'draining' };
      return { ...unborn, takesOver: event.takesOver };
    case 'isolated':
      return state.life === 'active' ? unborn : state;
    case 'joined':
      if (state.life !== 'joining') return state;
      return {
        life: 'active',
        takesOver: false,
        joinedAtMs: event.atMs,
        zoneWasGone: event.zoneIsGone && !state.takesOver,
      };
    case 'drain':
      return isWithdrawn(state) ? state : { ...unborn, life: 'draining' };
    case 'drained':
      return state.life === 'draining' ? { ...state, life: 'stopped' } : state;
    case 'activate':
      return isWithdrawn(state) ? unborn : state;
  }
}

/** Drained, or being drained: nothing is announced whatever else is true. */
export function isWithdrawn({ life }: LifeState): boolean {
  return life === 'draining' || life === 'stopped';
}
