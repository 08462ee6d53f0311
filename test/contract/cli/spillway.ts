import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { until } from '../../support/lab/until.js';

/** The built command line. */
export const mainPath = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  /** Without progress: a slow machine may show some at any time. */
  readonly stderr: string;
  readonly progress: readonly string[];
  readonly tookMs: number;
}

export interface RunOptions {
  /** SPILLWAY_SOCKET; a path where nobody listens when left out. */
  readonly socket?: string;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export function spillway(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return runProgram(process.execPath, [mainPath, ...args], options);
}

/** In a shell with pipes; `spillway` is a function there. */
export function shell(script: string, options: RunOptions = {}): Promise<Ended> {
  // With a socket for standard input bash would take itself for a remote login and read ~/.bashrc.
  return runProgram(
    'bash',
    ['--norc', '-c', `spillway() { "${process.execPath}" "${mainPath}" "$@"; }\n${script}`],
    options,
  );
}

/** On a terminal of its own (script, of Debian's bsdutils): standard output and standard error are one there. */
export function onTerminal(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const command = [process.execPath, mainPath, ...args].map((word) => `'${word}'`).join(' ');
  return runProgram('script', ['-qefc', command, '/dev/null'], options);
}

/** One that does not end by itself. */
export function startSpillway(args: readonly string[], options: RunOptions = {}) {
  const child = spawn(process.execPath, [mainPath, ...args], { env: environment(options) });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return {
    stderr: () => stderr,
    kill: () => child.kill(),
    /** Waits for so many lines of standard output. */
    async lines(count: number): Promise<void> {
      await until(
        `${count} lines`,
        () => {
          if (stdout.split('\n').length > count) return true;
          throw new Error(`so far ${stdout}${stderr}`);
        },
        { withinMs: 20_000 },
      );
    },
  };
}

function environment(options: RunOptions): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'] ?? '',
    TERM: 'xterm-256color',
    SPILLWAY_SOCKET: options.socket ?? 'unix:/nonexistent/spillway.sock',
    ...options.env,
  };
}

const progressLine = /^(?:waiting for|searching|measuring) .*\(\d.*\)\n/gm;

function runProgram(program: string, args: readonly string[], options: RunOptions): Promise<Ended> {
  const startedAt = performance.now();
  const child = spawn(program, args, { env: environment(options) });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => undefined);
  if (options.input === undefined) child.stdin.end();
  else child.stdin.end(options.input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      const tookMs = performance.now() - startedAt;
      resolve({
        code,
        stdout,
        stderr: stderr.replaceAll(progressLine, ''),
        progress: stderr.match(progressLine) ?? [],
        tookMs,
      });
    });
  });
}
