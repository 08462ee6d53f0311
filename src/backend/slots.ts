import { randomBytes } from 'node:crypto';
import { decapSlotSize, decapUsageSize, readDecapSlot, writeDecapSlot } from '../abi/abi.generated.js';
import { bytesToIp, type Ip, ipToBytes } from '../base/ip.js';
import type { BpfMap } from '../dataplane/addon.js';
import { BackendError } from './errors.js';

/** Which VIP counts where. Kept over attaches, so that what a VIP carried is not forgotten when it is taken off a list. */
export interface Slot {
  readonly slot: number;
  readonly vip: Ip;
  /** Drawn when the VIP got the slot: counters of another birth are other counters. */
  readonly born: bigint;
}

export interface Usage extends Slot {
  readonly packetsIn: bigint;
  readonly bytesIn: bigint;
  readonly packetsOut: bigint;
  readonly bytesOut: bigint;
}

export interface CounterMaps {
  readonly slots: BpfMap;
  readonly usage: BpfMap;
}

/**
 * The slot of each VIP: that which it has, or a free one, or that of a VIP which is wanted no more.
 * @throws BackendError when there are more VIPs than slots.
 */
export function assignSlots({ slots, usage }: CounterMaps, vips: readonly Ip[]): ReadonlyMap<Ip, number> {
  const most = slots.info.maxEntries;
  if (vips.length > most)
    throw new BackendError(`${vips.length} VIPs, and ${most} at most are counted`, 'Name fewer by --vip.');
  const wanted = new Set(vips);
  const used = readSlots(slots);
  const assigned = new Map(used.filter(({ vip }) => wanted.has(vip)).map(({ vip, slot }) => [vip, slot]));
  const spare = spareSlots(used, most, wanted);
  for (const vip of wanted) {
    if (assigned.has(vip)) continue;
    const slot = spare.next().value!;
    usage.update(indexKey(slot), new Uint8Array(usage.valueBytes));
    slots.update(indexKey(slot), encodeSlot(vip));
    assigned.set(vip, slot);
  }
  return assigned;
}

/** Free ones first; then those of VIPs that are not wanted. */
function* spareSlots(used: readonly Slot[], most: number, wanted: ReadonlySet<Ip>): Generator<number, undefined> {
  const taken = new Set(used.map(({ slot }) => slot));
  for (let slot = 0; slot < most; slot++) if (!taken.has(slot)) yield slot;
  for (const { slot, vip } of used) if (!wanted.has(vip)) yield slot;
  return undefined;
}

export function readSlots(slots: BpfMap): readonly Slot[] {
  const bytes = slots.readRange(0, slots.info.maxEntries);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: slots.info.maxEntries }, (_, slot) => {
    const { vip, born } = readDecapSlot(view, slot * decapSlotSize);
    return { slot, vip: bytesToIp(vip), born };
  }).filter(({ born }) => born !== 0n);
}

export function readUsage({ slots, usage }: CounterMaps): readonly Usage[] {
  const words = decapUsageSize / 8;
  return readSlots(slots).map((slot) => {
    const [packetsIn = 0n, bytesIn = 0n, packetsOut = 0n, bytesOut = 0n] = usage.sumRange(slot.slot, 1).slice(0, words);
    return { ...slot, packetsIn, bytesIn, packetsOut, bytesOut };
  });
}

function encodeSlot(vip: Ip): Uint8Array {
  const bytes = new Uint8Array(decapSlotSize);
  const born = randomBytes(8).readBigUInt64LE() | 1n;
  writeDecapSlot(new DataView(bytes.buffer), 0, { vip: ipToBytes(vip), born });
  return bytes;
}

function indexKey(index: number): Uint8Array {
  const key = new Uint8Array(4);
  new DataView(key.buffer).setUint32(0, index, true);
  return key;
}
