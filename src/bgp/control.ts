import type { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { Mutex } from '../base/mutex.js';
import type { Clock, Timer } from '../netlink/port.js';
import { type Reply, ReplyReader, verdictOf } from './replies.js';

/** Why there is no talking to BIRD: `absent` nobody listens, `foreign` not BIRD, `hung` no answer, `gone` in the middle. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  constructor(
    readonly kind: 'absent' | 'denied' | 'foreign' | 'hung' | 'gone',
    message: string,
  ) {
    super(message);
  }
}

export interface ControlOptions {
  readonly connect: (path: string) => Socket;
  readonly clock: Clock;
  /** For the greeting and for each command. */
  readonly timeoutMs: number;
}

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

/** One connection to the control socket; commands go one at a time. What goes wrong once ends it. */
export class Control {
  readonly #socket: Socket;
  readonly #path: string;
  readonly #options: ControlOptions;
  readonly #reader = new ReplyReader();
  readonly #decoder = new StringDecoder('utf8');
  readonly #turns = new Mutex();
  readonly #onClose: (() => void)[] = [];
  #waiting: Waiting | null = null;
  #timer: Timer | null = null;
  #ended: ControlError | null = null;
  #version = '';

  private constructor(path: string, options: ControlOptions) {
    this.#path = path;
    this.#options = options;
    this.#socket = options.connect(path);
    this.#socket.on('data', (chunk) => this.#take(chunk));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#fail(this.#connectionError(error)));
    this.#socket.on('close', () => this.#fail(new ControlError('gone', `BIRD closed ${path}`)));
  }

  /** @throws ControlError */
  static async open(path: string, options: ControlOptions): Promise<Control> {
    const control = new Control(path, options);
    const reply = await control.#await('its greeting');
    const greeting = verdictOf(reply);
    const version = /^(BIRD \S+) ready\.$/.exec(greeting.text)?.[1];
    if (greeting.code !== 1 || version === undefined || reply.length !== 1) {
      throw control.#fail(new ControlError('foreign', `what listens on ${path} is not BIRD: "${greeting.text}"`));
    }
    control.#version = version;
    return control;
  }

  /** "BIRD 2.0.12" */
  get version(): string {
    return this.#version;
  }

  /** Called once, as soon as BIRD has gone or is no more to be talked to. */
  onClose(listener: () => void): void {
    if (this.#ended) listener();
    else this.#onClose.push(listener);
  }

  /** @throws ControlError; a refusal is a reply as any other */
  command(text: string): Promise<Reply> {
    return this.#turns.run(() => {
      if (this.#ended) throw this.#ended;
      const reply = this.#await(`"${text}"`);
      this.#socket.write(`${text}\n`);
      return reply;
    });
  }

  /** Of one's own will: nobody is told. */
  close(): void {
    this.#onClose.length = 0;
    this.#fail(new ControlError('gone', `${this.#path} was closed here`));
  }

  #await(what: string): Promise<Reply> {
    const { clock, timeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(this.#ended);
        return;
      }
      this.#waiting = { resolve, reject };
      this.#timer = clock.after(timeoutMs, () => {
        const words = `what listens on ${this.#path} does not answer ${what} within ${timeoutMs} ms`;
        this.#fail(new ControlError('hung', words));
      });
    });
  }

  #take(chunk: Buffer): void {
    try {
      for (const reply of this.#reader.push(this.#decoder.write(chunk))) {
        const waiting = this.#waiting;
        if (waiting === null) throw new Error(`"${verdictOf(reply).text}" was not asked for`);
        this.#waiting = null;
        this.#timer?.cancel();
        waiting.resolve(reply);
      }
    } catch (error) {
      this.#fail(new ControlError('foreign', `what listens on ${this.#path} is not BIRD: ${(error as Error).message}`));
    }
  }

  #fail(error: ControlError): ControlError {
    if (this.#ended) return this.#ended;
    this.#ended = error;
    this.#timer?.cancel();
    this.#socket.destroy();
    this.#waiting?.reject(error);
    this.#waiting = null;
    for (const listener of this.#onClose) listener();
    return error;
  }

  #connectionError(error: NodeJS.ErrnoException): ControlError {
    if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') {
      return new ControlError('absent', `nobody listens on ${this.#path}`);
    }
    if (error.code === 'EACCES' || error.code === 'EPERM') {
      return new ControlError('denied', `${this.#path} may not be opened: ${error.message}`);
    }
    return new ControlError('gone', `${this.#path}: ${error.message}`);
  }
}
