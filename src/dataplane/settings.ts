import { createHash, randomBytes } from 'node:crypto';
import * as abi from '../abi/abi.generated.js';
import type { FlowKey } from '../compile/fingerprint.js';
import type { BpfMap } from './addon.js';
import { pinnedMaps } from './layout.js';

const KEY_WORDS = 12;
const MAX_MACS = 8;
const zeroKey = new Uint8Array(4);

/** The keys of fingerprints and Maglev choices, from the secret that the nodes of a cluster share. */
export function deriveKey(secret: Uint8Array | null): FlowKey {
  const material = Buffer.alloc(64);
  const seed = secret ?? randomBytes(32);
  createHash('sha512').update('spillway flow key v1\0').update(seed).digest().copy(material);
  const words = Array.from({ length: KEY_WORDS }, (_, i) => material.readUInt32LE(i * 4));
  return { words, finish: [material.readBigUInt64LE(48), material.readBigUInt64LE(56)] };
}

export function macBits(mac: Uint8Array): bigint {
  return mac.reduceRight((bits, byte) => (bits << 8n) | BigInt(byte), 0n);
}

export class SettingsMap {
  constructor(private readonly map: BpfMap) {}

  read(): abi.Settings {
    const bytes = this.map.lookup(zeroKey)!;
    return abi.readSettings(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
  }

  write(settings: abi.Settings): void {
    const bytes = new Uint8Array(abi.settingsSize);
    abi.writeSettings(new DataView(bytes.buffer), 0, settings);
    this.map.update(zeroKey, bytes);
  }

  flowKey(): FlowKey {
    const { key, finishKey } = this.read();
    return { words: key, finish: finishKey };
  }

  setMacs(macs: readonly Uint8Array[]): void {
    const unique = [...new Set(macs.map(macBits))].slice(0, MAX_MACS);
    // The first fills what is left: the data path compares with all of them.
    const padded = Array.from({ length: MAX_MACS }, (_, i) => unique[i] ?? unique[0] ?? 0n);
    this.write({ ...this.read(), macs: padded });
  }

  setAllowances({ echoes, errors, fragments }: Allowances, tickMs: number): void {
    const perTick = (perSecond: number): number => Math.ceil((perSecond * tickMs) / 1000);
    this.write({
      ...this.read(),
      echoesPerTick: perTick(echoes),
      errorsPerTick: perTick(errors),
      fragmentsPerTick: perTick(fragments),
    });
  }
}

/** What the data path does of its own accord, at most, each second on this node; 0: never. */
export interface Allowances {
  /** Echo requests to VIPs answered. */
  readonly echoes: number;
  /** ICMP errors of its own: "too big". */
  readonly errors: number;
  /** Fragments that came before their first one, held by the agent. */
  readonly fragments: number;
}

export const defaultAllowances: Allowances = { echoes: 1000, errors: 1000, fragments: 1000 };

/** Settings for fresh maps. */
export function freshSettings(key: FlowKey, clock: { hz: number; shift: number }, nodeId: number): abi.Settings {
  return {
    layout: pinnedMaps.settings.version,
    nodeId,
    macs: Array.from({ length: MAX_MACS }, () => 0n),
    key: key.words,
    finishKey: key.finish,
    hz: clock.hz,
    tickShift: clock.shift,
    echoesPerTick: 0,
    errorsPerTick: 0,
    fragmentsPerTick: 0,
  };
}
