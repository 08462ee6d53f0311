/**
 * The native addon, and the only file that loads it. Its contract is native/addon.d.ts; this adds the types to what
 * `require` gives, and says what to do when it was not built.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type * as Contract from '../../native/addon.js';

export type {
  LinkInfo,
  LoadOptions,
  MapInfo,
  MigrateOptions,
  MigrateResult,
  NativeError,
  ProbeKind,
  ProbeRequest,
  ProbeResult,
  ProgramInfo,
  SessionMemory,
  SweepOptions,
  SweepResult,
  SyncAddress,
  SyncControl,
  SyncCoreOptions,
  SyncCounts,
  SyncEngineOptions,
  SyncEvents,
  SyncKey,
  SyncMerged,
  SyncPeerCounts,
  TestRunOptions,
  XdpMode,
} from '../../native/addon.js';

/** SPILLWAY_ADDON names another build of it, such as the one with AddressSanitizer. */
function load(): typeof Contract {
  const path =
    process.env['SPILLWAY_ADDON'] ??
    fileURLToPath(new URL('../../../native/build/Release/spillway.node', import.meta.url));
  if (!existsSync(path)) throw new Error(`the native addon is missing at ${path}: run \`npm run build\``);
  return createRequire(import.meta.url)(path) as typeof Contract;
}

const addon = load();

export const {
  BpfObject,
  BpfMap,
  BpfProgram,
  BpfLink,
  RingReader,
  NetlinkSocket,
  Prober,
  SyncTable,
  SyncCore,
  SyncEngine,
  detachTc,
  queryTc,
  queryXdp,
  fillMaglev: fillMaglevTable,
  sweepSessions,
  clearSlot,
  awaitPrograms,
  migrateSessions,
  programMaps,
  syncMac,
  notifySystemd,
  releaseFreeMemory,
  kernelHz,
  possibleCpus,
  interfaceIndex,
  interfaceName,
  isBpffs,
  mountBpffs,
  libbpfVersion,
} = addon;

export type BpfObject = Contract.BpfObject;
export type BpfMap = Contract.BpfMap;
export type BpfProgram = Contract.BpfProgram;
export type BpfLink = Contract.BpfLink;
export type RingReader = Contract.RingReader;
export type NetlinkSocket = Contract.NetlinkSocket;
export type Prober = Contract.Prober;
export type SyncTable = Contract.SyncTable;
export type SyncCore = Contract.SyncCore;
export type SyncEngine = Contract.SyncEngine;

/** True for what the addon throws. */
export function isNativeError(error: unknown): error is Contract.NativeError {
  return error instanceof Error && 'code' in error && 'errno' in error && 'syscall' in error && 'log' in error;
}
