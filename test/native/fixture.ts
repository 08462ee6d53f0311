/** What the tests of the addon share: object files, pins that go away, children, waiting. */
import { execFile } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { BpfObject, type LoadOptions, type NativeError } from '../../src/dataplane/addon.js';
import { until } from '../support/lab/until.js';

export function objectPath(name: string): string {
  return new URL(`${name}.bpf.o`, import.meta.url).pathname;
}

/** Loads test/native/sample.bpf.c; closed at the end of the test. */
export function loadSample(t: ExecutionContext, options: LoadOptions = {}): BpfObject {
  const object = BpfObject.load(objectPath('sample'), options);
  t.teardown(() => object.close());
  return object;
}

let directories = 0;

/** A directory for pins of this process alone; its name tells the test runner whose it is. */
export function pinDirectory(t: ExecutionContext): string {
  const path = `/sys/fs/bpf/spillway/t${process.pid}-nat-${directories++}`;
  mkdirSync(path, { recursive: true });
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export function u32(...numbers: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(numbers).buffer);
}

export function u64(...numbers: (number | bigint)[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(numbers.map(BigInt)).buffer);
}

export function asU32(bytes: Uint8Array): number[] {
  return Array.from(new Uint32Array(bytes.slice().buffer));
}

export function asU64(bytes: Uint8Array): bigint[] {
  return Array.from(new BigUint64Array(bytes.slice().buffer));
}

/** The error that `call` throws, which must be one of the addon's. */
export function nativeError(t: ExecutionContext, call: () => unknown): NativeError {
  const error = t.throws(call) as NativeError | undefined;
  t.true(error instanceof Error);
  for (const field of ['code', 'errno', 'syscall', 'log']) t.true(Object.hasOwn(error!, field), field);
  return error!;
}

export async function waitUntil(condition: () => boolean, what: string, deadlineMs = 10_000): Promise<void> {
  await until(what, condition, { withinMs: deadlineMs, everyMs: 5 });
}

export interface ChildOptions {
  readonly flags?: readonly string[];
  readonly args?: readonly string[];
  /** In a network namespace of its own, without a name: it goes with the process. */
  readonly ownNetwork?: boolean;
}

/** Runs test/native/children/NAME.ts, which must end by itself with status 0; gives what it printed as JSON. */
export async function runChild(name: string, options: ChildOptions = {}): Promise<unknown> {
  const script = new URL(`children/${name}.js`, import.meta.url).pathname;
  const command = [process.execPath, ...(options.flags ?? []), script, ...(options.args ?? [])];
  if (options.ownNetwork) command.unshift('unshare', '--net', '--');
  const { stdout } = await promisify(execFile)(command[0]!, command.slice(1), { timeout: 60_000 });
  return stdout === '' ? null : JSON.parse(stdout);
}
