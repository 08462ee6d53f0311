import type { BpfObject } from '../../src/dataplane/addon.js';
import { ipToBytes, parseMac } from '../../src/base/ip.js';
import type { Forwarding } from './options.js';

/**
 * The layouts of bpf/abi_types.h that the benchmark fills, written by hand in this file alone. A VIP for each family
 * with a TCP and a UDP service on one pool of 100 backends: what the yardstick has.
 */

const VIPS = ['192.0.2.10', '2001:db8::10'] as const;
const LISTENERS = [
  { protocol: 6, port: 80 },
  { protocol: 17, port: 443 },
] as const;
const BACKENDS_PER_POOL = 100;
const MAGLEV_SLOTS = 65_537;
const OWN_MAC = '02:00:00:00:00:01';
const OUTER_SOURCES = ['172.16.0.1', 'fd00:10::1'] as const;

/** Ticks of session timeouts by state (unused, young, established, closing): none runs out during a case. */
const TIMEOUT_TICKS = [0, 60_000, 60_000, 60_000] as const;

const FORWARD = { l2: [1, 1], ipip: [2, 3] } as const;
const BACKEND_FLAGS = 1 | 2 | 4 | 8; // in use, up, healthy, checked

/** Services as numbered here; 0 is no service. */
export const SERVICES = VIPS.length * LISTENERS.length;

export function maxEntries(buckets: number): Record<string, number> {
  return {
    sessions_v1: buckets,
    details_v1: buckets * 4,
    services_v1: SERVICES + 1,
    svc_counters_v1: SERVICES + 1,
    pools_v1: VIPS.length,
    maglev_v1: VIPS.length,
    backends_v1: VIPS.length * BACKENDS_PER_POOL + 1,
    be_counters_v1: VIPS.length * BACKENDS_PER_POOL + 1,
    vips_v1: 64,
  };
}

/** Initial value of the program's `config`. */
export function configBytes(buckets: number, frags: boolean): Uint8Array {
  return words(buckets - 1, frags ? 1 : 0);
}

export function fill(object: BpfObject, forwarding: Forwarding, hz: number): void {
  object.map('settings_v1').update(words(0), settings(hz));
  object.map('vip_filter_v1').update(words(0), vipFilter());
  VIPS.forEach((vip, pool) => {
    fillPool(object, forwarding, pool);
    object.map('vips_v1').update(vipKey(vip, 0, 0), words(0));
    LISTENERS.forEach(({ protocol, port }, index) => {
      const id = 1 + pool * LISTENERS.length + index;
      object.map('services_v1').update(words(id), service(pool));
      object.map('vips_v1').update(vipKey(vip, protocol, port), words(id));
    });
  });
}

function fillPool(object: BpfObject, forwarding: Forwarding, pool: number): void {
  const first = 1 + pool * BACKENDS_PER_POOL;
  for (let i = 0; i < BACKENDS_PER_POOL; i++) {
    object.map('backends_v1').update(words(first + i), backend(forwarding, pool, i + 1));
  }
  object.map('maglev_v1').update(words(pool), maglevTable(first));
  object.map('pools_v1').update(words(pool), words(pool, pool, 0, 1, 0, 0, 0, 0));
}

function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

function settings(hz: number): Uint8Array {
  const bytes = new Uint8Array(160);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 1, true); // layout
  bytes.set(parseMac(OWN_MAC) ?? [], 8);
  for (let i = 0; i < 16; i++) view.setUint32(72 + i * 4, Math.imul(0x9e3779b1, i * 7 + 3) >>> 0, true); // key, finish_key
  view.setUint32(136, hz, true);
  view.setUint32(140, Math.max(0, Math.round(Math.log2(hz / 4))), true); // tick_shift: about four ticks a second
  return bytes;
}

/** One bit for a 16-bit hash of each VIP. */
function vipFilter(): Uint8Array {
  const bytes = new Uint8Array(8192);
  for (const vip of VIPS) {
    const address = new DataView(ipToBytes(vip).buffer);
    const factors = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f];
    const hash = factors.reduce((sum, factor, i) => (sum + Math.imul(address.getUint32(i * 4, true), factor)) | 0, 0);
    const bit = hash >>> 16;
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
  }
  return bytes;
}

function vipKey(vip: string, protocol: number, port: number): Uint8Array {
  return Uint8Array.from([...ipToBytes(vip), port >> 8, port & 0xff, protocol, 0]);
}

function service(pool: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(24));
  view.setUint16(0, pool, true);
  view.setUint16(2, 1, true); // in use
  TIMEOUT_TICKS.forEach((ticks, state) => {
    view.setUint16(4 + state * 2, ticks, true);
  });
  return new Uint8Array(view.buffer);
}

/** Any even spread over the backends costs the same to read; no need for Maglev's. */
function maglevTable(first: number): Uint8Array {
  const bytes = new Uint8Array(MAGLEV_SLOTS * 2 + 6);
  const slots = new Uint16Array(bytes.buffer);
  for (let i = 0; i < MAGLEV_SLOTS; i++) slots[i] = first + ((Math.imul(i, 2654435761) >>> 12) % BACKENDS_PER_POOL);
  return bytes;
}

function backend(forwarding: Forwarding, pool: number, number: number): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  const address = ipToBytes(pool === 0 ? `172.20.0.${number}` : `fd00:20::${number.toString(16)}`);
  const source = ipToBytes(OUTER_SOURCES[pool] ?? OUTER_SOURCES[0]);
  bytes.set([2, 0, 0, 0, 0xbe, number, FORWARD[forwarding][pool] ?? 0, BACKEND_FLAGS]);
  if (pool === 0) view.setUint32(8, outerSum(address, source), true);
  bytes.set(address, 24);
  bytes.set(source, 40);
  view.setUint32(56, 1500, true); // mtu
  return bytes;
}

/** Unfolded one's complement sum, in memory order, of what never changes in the outer IPv4 header. */
function outerSum(address: Uint8Array, source: Uint8Array): number {
  const header = Uint8Array.from([
    0x45,
    0,
    0,
    0,
    0,
    0,
    0x40,
    0,
    64,
    4,
    0,
    0,
    ...source.subarray(12),
    ...address.subarray(12),
  ]);
  return new Uint16Array(header.buffer).reduce((sum, word) => sum + word, 0);
}
