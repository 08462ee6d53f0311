import { UnavailableError } from '../base/errors.js';
import type { BirdConfig } from '../config/cluster.js';
import type { Clock } from '../netlink/port.js';
import type { Observed } from './bird-status.js';
import { type Control, ControlError } from './control.js';
import { STATIC_NAMES } from './model.js';
import { readBfdSessions, readProtocols, timeOf } from './protocols.js';
import { type Reply, refused, verdictOf } from './replies.js';
import type { BirdFiles } from './system.js';

const READING = 2;
const RECONFIGURED = 3;
const IN_PROGRESS = new Set([4, 5]);
const IN_PROGRESS_MS = 5000;
const LOOK_MS = 20;

/** What is said to one BIRD, from its greeting to its end. */
export interface BirdSession {
  readonly control: Control;
  readonly version: string;
  /** Wall clock, when it was started; null: not known. */
  readonly sinceMs: number | null;
  /** @throws UnavailableError when it is a BIRD that reads another file than ours */
  greet(config: BirdConfig, files: BirdFiles): Promise<void>;
  /** Resolves when what the file says is in force. */
  configure(): Promise<void>;
  observe(config: BirdConfig): Promise<Observed>;
  /** Protocols with our routes that somebody disabled. */
  enable(observed: Observed): Promise<void>;
  /** Resolves when it has gone, or the time is over. */
  shutDown(withinMs: number): Promise<void>;
}

export function sessionOf(control: Control, clock: Clock): BirdSession {
  return new Session(control, clock);
}

class Session implements BirdSession {
  readonly control: Control;
  readonly #clock: Clock;
  #sinceMs: number | null = null;

  constructor(control: Control, clock: Clock) {
    this.control = control;
    this.#clock = clock;
  }

  get version(): string {
    return this.control.version;
  }

  get sinceMs(): number | null {
    return this.#sinceMs;
  }

  async greet({ configFile, socket }: BirdConfig, files: BirdFiles): Promise<void> {
    const status = await this.control.command('show status');
    this.#sinceMs = startOf(status);
    // Without a name it reads its own file, and changes nothing.
    const check = await this.control.command('configure check');
    const read = check.find(({ code }) => code === READING)?.text.replace(/^Reading configuration from /, '') ?? '';
    if ((await files.resolve(read)) === (await files.resolve(configFile))) return;
    this.control.close();
    throw new UnavailableError(
      `the BIRD on ${socket} reads "${read}", and is left alone: start it with -c ${configFile}, or set routes.configFile and routes.socket to what is meant`,
    );
  }

  async configure(): Promise<void> {
    const reply = await this.control.command('configure');
    const { code, text } = verdictOf(reply);
    if (code === RECONFIGURED) return;
    if (!IN_PROGRESS.has(code)) throw new UnavailableError(`BIRD does not take its configuration: ${text}`);
    // Sessions whose own settings changed are ended first.
    const untilMs = this.#clock.nowMs() + IN_PROGRESS_MS;
    while (verdictOf(await this.control.command('show status')).text.includes('in progress')) {
      if (this.#clock.nowMs() > untilMs) {
        throw new UnavailableError(`BIRD is not done with its configuration after ${IN_PROGRESS_MS} ms`);
      }
      await new Promise<void>((resolve) => this.#clock.after(LOOK_MS, resolve));
    }
  }

  async observe({ bfd }: BirdConfig): Promise<Observed> {
    try {
      const protocols = readProtocols(await this.control.command('show protocols all'));
      const sessions = bfd === null ? [] : await this.control.command('show bfd sessions');
      return { protocols, bfd: sessions.length === 0 || refused(sessions) ? [] : readBfdSessions(sessions) };
    } catch (error) {
      if (error instanceof ControlError) throw error;
      throw new UnavailableError(`BIRD's answer makes no sense: ${(error as Error).message}`);
    }
  }

  async enable({ protocols }: Observed): Promise<void> {
    for (const name of Object.values(STATIC_NAMES)) {
      if (protocols.get(name)?.state === 'down') await this.control.command(`enable ${name}`);
    }
  }

  async shutDown(withinMs: number): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      this.control.onClose(resolve);
      this.#clock.after(withinMs, resolve);
    });
    await this.control.command('down').catch((error: Error) => {
      if (!(error instanceof ControlError && error.kind === 'gone')) throw error;
    });
    await gone;
  }
}

function startOf(status: Reply): number | null {
  const line = status.find(({ text }) => text.startsWith('Last reboot on '));
  return line ? timeOf(line.text.slice('Last reboot on '.length)) : null;
}
