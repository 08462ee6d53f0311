/** Access lists and limits that bite: few clients are listed, few sessions let in. */
import {
  type AccessControl,
  type AccessList,
  type Desired,
  type Limits,
  noLimits,
  type Prefix,
} from '../../src/config/desired.js';
import type { Random } from './random.js';

const listNames = ['some', 'others'] as const;

export function withAdmission(random: Random, desired: Desired): Desired {
  const loadBalancers = desired.loadBalancers.map((balancer) => ({
    ...balancer,
    limits: randomLimits(random),
    listeners: balancer.listeners.map((listener) => ({
      ...listener,
      accessControl: randomAccess(random),
      limits: randomLimits(random),
    })),
  }));
  return { ...desired, loadBalancers, accessLists: randomLists(random) };
}

/** Of the clients of random traffic, 198.51.100.0/22 and 2001:db8:100::/64; wide ones, narrow ones, one in another. */
function randomLists(random: Random): AccessList[] {
  return listNames.map((name) => {
    const entries = new Map<string, Prefix>();
    for (let n = random.below(12); n > 0; n--) {
      const prefix = random.chance(0.5) ? prefix4(random) : prefix6(random);
      entries.set(`${prefix.address}/${prefix.bits}`, prefix);
    }
    return { name, entries: [...entries.values()], description: '' };
  });
}

function prefix4(random: Random): Prefix {
  const bits = random.pick([0, 8, 22, 24, 26, 28, 30, 31, 32, 32, 32]);
  const value = ((198 << 24) | (51 << 16) | ((100 + random.below(2)) << 8) | random.below(64)) >>> 0;
  const masked = bits === 0 ? 0 : (value & (0xffff_ffff << (32 - bits))) >>> 0;
  return { address: [24, 16, 8, 0].map((shift) => (masked >>> shift) & 0xff).join('.'), bits };
}

function prefix6(random: Random): Prefix {
  const bits = random.pick([0, 32, 48, 64, 96, 120, 124, 127, 128, 128]);
  const last = random.below(64) & (bits < 112 ? 0 : 0xffff << (128 - bits));
  const address =
    bits === 0
      ? '::'
      : last === 0
        ? bits < 48
          ? '2001:db8::'
          : '2001:db8:100::'
        : `2001:db8:100::${last.toString(16)}`;
  return { address, bits };
}

function randomAccess(random: Random): AccessControl | null {
  if (random.chance(0.7)) return null;
  return { mode: random.pick(['ALLOW', 'DENY']), accessList: random.pick(listNames) };
}

function randomLimits(random: Random): Limits {
  if (random.chance(0.7)) return noLimits;
  return {
    newSessionsPerSecond: random.pick([0, 0, 1, 5, 30]),
    sessions: random.pick([0, 0, 1, 4, 12, 40]),
    bitsPerSecond: random.pick([0, 1_000_000]),
    packetsPerSecond: random.pick([0, 1_000]),
    newSessionsPerSecondPerSource: random.pick([0, 0, 1, 3]),
  };
}
