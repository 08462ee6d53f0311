import { type Palette, palette } from './format/color.js';

/** What a command may touch of its process. */
export interface Io {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: NodeJS.ProcessEnv;
  /** Colours for standard output. */
  readonly paint: Palette;
  /** Colours for standard error. */
  readonly paintError: Palette;
}

export function processIo(): Io {
  const { stdin, stdout, stderr, env } = process;
  return {
    stdin,
    stdout,
    stderr,
    env,
    paint: palette({ terminal: stdout.isTTY === true, env }),
    paintError: palette({ terminal: stderr.isTTY === true, env }),
  };
}

/**
 * A reader that has seen enough (`| head`) is no fault: the process ends with 0, without a word. What the agent was
 * asked for is done by then: commands print after their calls.
 */
export function endQuietlyOnBrokenPipe(stdout: NodeJS.WriteStream): void {
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    process.stderr.write(`spillway: cannot write the output: ${error.message}\n`);
    process.exit(1);
  });
}

/** Writes at the reader's pace. */
export async function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  if (text === '' || stream.write(text)) return;
  await new Promise<void>((resolve) => stream.once('drain', resolve));
}
