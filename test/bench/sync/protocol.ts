import { createHash } from 'node:crypto';
import type { SyncCounters } from '../../../src/sync/types.js';

export const GROUP = '239.255.83.87';
/** The agent's own, which failover/loss.bpf.c knows. */
export const PORT = 3490;
/** Of all nodes. */
export const KEY = { id: 1, key: createHash('sha256').update('a key for benchmarks').digest() };

/** What a node's process is asked by the benchmark, and answers. Numbers of 64 bits go as text. */
export type Request =
  | {
      readonly do: 'start';
      /** The first node. */
      readonly node: number;
      readonly sessions: number;
      readonly address: string;
      readonly peers: readonly string[];
      readonly group: string | null;
      readonly recordsPerSecond: number;
    }
  | { readonly do: 'admit'; readonly node: number; readonly boot: string }
  | { readonly do: 'read' }
  | { readonly do: 'digest' }
  /** Fetches the peer's table whole, or compares with it and fetches what differs. */
  | {
      readonly do: 'fetch' | 'compare';
      readonly address: string;
      readonly port: number;
      readonly boot: string;
      readonly node: number;
    }
  | { readonly do: 'end' };

export interface Started {
  readonly boot: string;
  readonly transferPort: number;
  /** Ids of the kernel. */
  readonly maps: { readonly sessions: number; readonly details: number; readonly log: number };
}

export interface Reading {
  readonly counters: Readonly<Record<keyof SyncCounters, number>>;
  /** Of the engine's thread, and of the whole process. */
  readonly cpuNs: number;
  readonly processCpuNs: number;
  /** Datagrams that were asked for and are no more to be had. */
  readonly lost: number;
  readonly peers: readonly Readonly<Record<'node' | 'datagrams' | 'records' | 'missed' | 'givenUp', number>>[];
  /** Control messages of boots that were admitted, and of others. */
  readonly control: { readonly admitted: number; readonly strange: number };
}

/** Equal for equal tables. */
export interface Digest {
  readonly sessions: number;
  readonly sums: string;
}

export interface Transferred {
  readonly milliseconds: number;
  readonly records: number;
  readonly applied: number;
  /** Of all of the digest's ranges, those that differ afterwards. */
  readonly differingRanges: number;
  readonly ranges: number;
  readonly sessions: number;
}

export type Value = Started | Reading | Digest | Transferred | null;

export type Answer = { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly error: string };
