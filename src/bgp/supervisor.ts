import { dirname } from 'node:path';
import { UnavailableError } from '../base/errors.js';
import type { BirdConfig } from '../config/cluster.js';
import { Control, ControlError, type ControlOptions } from './control.js';
import type { AnnouncerDeps } from './system.js';

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;
/** A BIRD that lived as long was no failed start. */
const GOOD_LIFE_MS = 10_000;
const START_MS = 5000;
const LOOK_MS = 20;

/** Starts BIRD where nobody listens on its socket; never ends one. */
export class Supervisor {
  readonly #config: BirdConfig;
  readonly #deps: AnnouncerDeps;
  readonly #control: ControlOptions;
  #starts = 0;
  #pauseMs = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(config: BirdConfig, deps: AnnouncerDeps, control: ControlOptions) {
    this.#config = config;
    this.#deps = deps;
    this.#control = control;
  }

  get starts(): number {
    return this.#starts;
  }

  /** Milliseconds until it may be started again. */
  get waitMs(): number {
    return Math.max(0, this.#lastMs + this.#pauseMs - this.#deps.clock.nowMs());
  }

  /** @throws UnavailableError in words: it did not start, or it is too early to try again */
  async start(): Promise<Control> {
    const { binary, configFile, socket } = this.#config;
    const { clock, processes, log } = this.#deps;
    const sinceMs = clock.nowMs() - this.#lastMs;
    if (this.waitMs > 0) throw new UnavailableError(`BIRD is started again in ${Math.ceil(this.waitMs)} ms`);
    this.#pauseMs =
      sinceMs > GOOD_LIFE_MS + this.#pauseMs ? FIRST_PAUSE_MS : Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
    this.#lastMs = clock.nowMs();
    this.#starts++;
    const output = logFileOf(this.#config);
    let ended: string | null = null;
    try {
      processes.makeFolder(dirname(socket));
      const started = processes.start(binary, ['-f', '-c', configFile, '-s', socket], output);
      log.info({ binary, configFile, socket, pid: started.pid }, 'BIRD started');
      void started.ended.then((why) => {
        ended = why;
      });
    } catch (error) {
      throw new UnavailableError(`BIRD cannot be started: ${(error as Error).message}`);
    }
    while (ended === null && clock.nowMs() < this.#lastMs + START_MS) {
      try {
        return await Control.open(socket, this.#control);
      } catch (error) {
        if (!(error instanceof ControlError) || error.kind !== 'absent') throw error;
      }
      await new Promise<void>((resolve) => clock.after(LOOK_MS, resolve));
    }
    throw new UnavailableError(await this.#words(ended ?? `no answer within ${START_MS} ms`));
  }

  async #words(why: string): Promise<string> {
    const { binary } = this.#config;
    if (why.includes('ENOENT')) return `there is no BIRD at ${binary}: install bird2, or set routes.binary`;
    const output = logFileOf(this.#config);
    const said = await this.#deps.files.read(output).catch(() => null);
    const last = said?.trimEnd().split('\n').at(-1);
    return `BIRD does not start (${why})${last ? `: "${last}"` : ''}; see ${output}`;
  }
}

/** Of a supervised BIRD; others log to syslog. */
export function logFileOf({ configFile }: BirdConfig): string {
  return `${configFile}.log`;
}
