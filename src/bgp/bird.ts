import { UnavailableError } from '../base/errors.js';
import type { BirdConfig } from '../config/cluster.js';
import type { Timer } from '../netlink/port.js';
import { type BirdSession, sessionOf } from './bird-session.js';
import { familyProblems, heardOf, neighborProblems, neighborsOf, type Observed, strayed } from './bird-status.js';
import { ConfigFile } from './config-file.js';
import { Control, ControlError, type ControlOptions } from './control.js';
import { modelOf, STATIC_NAMES } from './model.js';
import { render } from './render.js';
import { logFileOf, Supervisor } from './supervisor.js';
import type { AnnouncerDeps } from './system.js';
import type { Announcer, Route, RoutesStatus } from './types.js';
import { Waiters } from './waiters.js';
import { ofFamily, type Wanted, wantedOf } from './wanted.js';

const POLL_MS = 1000;
const COMMAND_MS = 2000;
const WITHDRAW_MS = 3000;
const BOOT_ID = '/proc/sys/kernel/random/boot_id';

export interface BirdOptions {
  /** False: a BIRD that is not there is not started, though it is ours to keep. */
  readonly start?: boolean;
}

/** @returns even when BIRD is not to be had: `status` says so, and it is tried again. */
export async function openBirdAnnouncer(
  config: BirdConfig,
  deps: AnnouncerDeps,
  { start = true }: BirdOptions = {},
): Promise<Announcer> {
  const announcer = new BirdAnnouncer(config, deps, config.supervise && start);
  await announcer.open();
  return announcer;
}

/**
 * One turn at a time: reach BIRD, put the file right, have BIRD read it, look at what came of it. A turn is taken when
 * routes are told, each second, and at once when BIRD goes.
 */
class BirdAnnouncer implements Announcer {
  readonly #config: BirdConfig;
  readonly #deps: AnnouncerDeps;
  #mayStart: boolean;
  readonly #controlOptions: ControlOptions;
  readonly #file: ConfigFile;
  readonly #supervisor: Supervisor;
  readonly #waiters: Waiters;
  readonly #listeners = new Set<() => void>();
  #told: Wanted = { routes: [], faults: [] };
  /** Counts what was told; `#written` is the last of them that is in the file. */
  #generation = 0;
  #written = -1;
  #session: BirdSession | null = null;
  /** In force in the BIRD of this session, and the file that it read; null: it has not read it yet. */
  #taken: readonly Route[] | null = null;
  #read: string | null = null;
  #observed: Observed | null = null;
  #trouble: string | null = null;
  #bootId = '';
  #tookUp = false;
  /** Nobody listened on the socket, once: then what the agent before told is not in force. */
  #absent = false;
  #changes = 0;
  #refusals = 0;
  #repairs = 0;
  #timer: Timer | null = null;
  #turning: Promise<void> | null = null;
  #due = false;
  #closing = false;
  #lastStatus = '';

  constructor(config: BirdConfig, deps: AnnouncerDeps, mayStart: boolean) {
    this.#config = config;
    this.#deps = deps;
    this.#mayStart = mayStart;
    this.#controlOptions = { connect: deps.connect, clock: deps.clock, timeoutMs: COMMAND_MS };
    this.#file = new ConfigFile(config, deps);
    this.#supervisor = new Supervisor(config, deps, this.#controlOptions);
    this.#waiters = new Waiters(deps.clock);
  }

  async open(): Promise<void> {
    await this.#run();
  }

  set(routes: readonly Route[]): Promise<void> {
    if (this.#closing) return Promise.reject(new UnavailableError('the announcer of routes is closed'));
    this.#told = wantedOf(routes);
    this.#generation++;
    const inForce = this.#waiters.add(this.#generation);
    this.#kick();
    return inForce;
  }

  status(): RoutesStatus {
    const neighbors = neighborsOf(this.#config, this.#observed);
    return {
      kind: 'bird',
      // A BIRD that is slow to answer, or whose router is away just now, has not lost what it was told.
      announced: this.#generation === 0 && !this.#absent ? this.#told.routes : heardOf(this.#taken ?? [], neighbors),
      neighbors,
      engine: {
        version: this.#session?.version ?? '',
        running: this.#session !== null,
        sinceMs: this.#session?.sinceMs ?? null,
        starts: this.#supervisor.starts,
        changes: this.#changes,
        refusals: this.#refusals,
        lastChangeMs: this.#waiters.lastMs,
        repairs: this.#repairs,
      },
      problems: [
        ...(this.#trouble === null ? [] : [this.#trouble]),
        ...this.#told.faults,
        ...familyProblems(this.#config, this.#told.routes),
        ...neighborProblems(neighbors, this.#deps.wallMs()),
      ],
    };
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close({ withdraw }: { readonly withdraw: boolean }): Promise<void> {
    if (this.#closing) return;
    // None is started to be told that there is nothing.
    if (withdraw) this.#mayStart = false;
    const withdrawn = withdraw ? this.set([]) : Promise.resolve();
    try {
      await withdrawn;
      if (withdraw && this.#config.supervise) await this.#shutDown();
    } finally {
      this.#closing = true;
      this.#timer?.cancel();
      await this.#turning;
      this.#session?.control.close();
      this.#waiters.refuse(this.#generation, new UnavailableError('the announcer of routes is closed'));
    }
  }

  /** A BIRD that Spillway keeps has nothing to do any more. */
  async #shutDown(): Promise<void> {
    this.#closing = true;
    await this.#turning;
    await this.#session?.shutDown(WITHDRAW_MS);
  }

  #kick(): void {
    this.#due = true;
    if (this.#closing || this.#turning !== null) return;
    this.#timer?.cancel();
    // What is told within one round of the event loop goes together.
    this.#timer = this.#deps.clock.after(0, () => void this.#run());
  }

  #run(): Promise<void> {
    this.#timer?.cancel();
    this.#due = false;
    this.#turning = this.#turn().finally(() => {
      this.#turning = null;
      if (this.#closing) return;
      const waitMs = this.#supervisor.waitMs;
      const pauseMs = this.#session === null && waitMs > 0 ? Math.min(POLL_MS, Math.ceil(waitMs)) : POLL_MS;
      this.#timer = this.#deps.clock.after(this.#due ? 0 : pauseMs, () => void this.#run());
    });
    return this.#turning;
  }

  async #turn(): Promise<void> {
    const generation = this.#generation;
    let trouble: Error | null = null;
    try {
      await this.#put(generation);
    } catch (error) {
      trouble = error as Error;
      this.#waiters.refuse(generation, unavailable(trouble));
    }
    if (this.#session !== null) {
      try {
        await this.#look();
      } catch (error) {
        trouble ??= error as Error;
      }
    }
    this.#say(trouble);
  }

  /** @throws Error in words when it is not in force */
  async #put(generation: number): Promise<void> {
    // What another agent announced is known before anything is written.
    if (!this.#tookUp) await this.#takeUp();
    const { routes } = this.#told;
    const unreached = await this.#reach();
    if (unreached !== null) this.#absent ||= unreached.kind === 'absent';
    try {
      await this.#write(generation, routes);
    } catch (error) {
      if ((error as Error).message !== this.#trouble) this.#refusals++;
      await this.#withdrawByHand(routes);
      throw error;
    }
    if (this.#session === null) {
      // With nobody there, there is nothing to withdraw from: the file is all that counts.
      if (unreached?.kind === 'absent' && routes.length === 0) this.#waiters.settle(generation);
      await this.#start(unreached);
    }
    if (this.#read !== this.#file.text) await this.#configure(routes);
    this.#waiters.settle(generation);
  }

  async #takeUp(): Promise<void> {
    const { files } = this.#deps;
    this.#bootId ||= (await files.read(BOOT_ID).catch(() => null))?.trim() || 'unknown';
    const adopted = await this.#file.read();
    this.#tookUp = true;
    if (this.#generation > 0 || adopted === null || adopted.routes.length === 0) return;
    if (adopted.bootId === this.#bootId) this.#told = { routes: adopted.routes, faults: [] };
    else this.#deps.log.info({ routes: adopted.routes.length }, 'the machine has restarted: routes are not taken up');
  }

  /** Null: there is a session now. */
  async #reach(): Promise<ControlError | null> {
    if (this.#session !== null) return null;
    try {
      await this.#join(await Control.open(this.#config.socket, this.#controlOptions));
      return null;
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      return error;
    }
  }

  async #join(control: Control): Promise<void> {
    const { clock, files, log } = this.#deps;
    const session = sessionOf(control, clock);
    await session.greet(this.#config, files);
    const joinedMs = clock.nowMs();
    this.#session = session;
    control.onClose(() => {
      this.#session = null;
      this.#taken = null;
      this.#read = null;
      this.#observed = null;
      log.warn({ socket: this.#config.socket }, 'BIRD is gone from its control socket');
      // One that greets and leaves, again and again, is asked no more often than any other.
      if (clock.nowMs() - joinedMs > POLL_MS) this.#kick();
    });
  }

  async #write(generation: number, routes: readonly Route[]): Promise<void> {
    if (this.#written === generation) return;
    const text = render(modelOf(this.#config, routes, await this.#surroundings()));
    await this.#file.write(text, this.#session?.control ?? null);
    this.#written = generation;
  }

  async #surroundings(): Promise<Parameters<typeof modelOf>[2]> {
    const passwords = new Map<string, string>();
    for (const { passwordFile } of this.#config.neighbors) {
      if (passwordFile === null) continue;
      const text = await this.#deps.files.read(passwordFile).catch((error: Error) => {
        throw new UnavailableError(`routes.neighbors: password file ${passwordFile} cannot be read: ${error.message}`);
      });
      if (text === null) throw new UnavailableError(`routes.neighbors: there is no password file ${passwordFile}`);
      passwords.set(passwordFile, text);
    }
    return { passwords, bootId: this.#bootId, logFile: this.#config.supervise ? logFileOf(this.#config) : null };
  }

  async #start(unreached: ControlError | null): Promise<void> {
    const { socket } = this.#config;
    if (unreached !== null && unreached.kind !== 'absent') throw this.#remedied(unreached);
    if (!this.#mayStart) {
      throw new UnavailableError(`no BIRD listens on ${socket}: systemctl start bird, or set routes.supervise`);
    }
    await this.#join(await this.#supervisor.start());
  }

  #remedied({ kind, message }: ControlError): UnavailableError {
    const again = this.#config.supervise ? 'BIRD is started once it has ended' : 'systemctl restart bird';
    const remedy = {
      absent: again,
      denied: 'the agent must run as root',
      foreign: `end it, or set routes.socket: ${again}`,
      hung: `if it stays so, kill it: ${again}`,
      gone: 'asked again in a second',
    }[kind];
    return new UnavailableError(`${message}; ${remedy}`);
  }

  async #configure(routes: readonly Route[]): Promise<void> {
    const session = this.#session;
    if (session === null) throw new UnavailableError('BIRD went away');
    const before = this.#taken;
    await session.configure();
    this.#taken = routes;
    this.#read = this.#file.text;
    this.#changes++;
    const count = { routes: routes.length, before: before?.length ?? null };
    this.#deps.log.info(count, 'BIRD has taken the routes');
  }

  /** The disk is full, say: what has to go goes all the same, if it is all of a family. */
  async #withdrawByHand(routes: readonly Route[]): Promise<void> {
    if (this.#session === null) return;
    this.#read = null;
    for (const family of [4, 6] as const) {
      if (ofFamily(routes, family).length > 0 || ofFamily(this.#taken ?? [], family).length === 0) continue;
      await this.#session.control.command(`disable ${STATIC_NAMES[family]}`);
      this.#taken = (this.#taken ?? []).filter((route) => ofFamily([route], family).length === 0);
      this.#deps.log.warn({ family }, 'routes are withdrawn by the control socket: the file cannot be written');
    }
  }

  /** Reads what BIRD has, and has it read the file again when that is not what it took. */
  async #look(): Promise<void> {
    const session = this.#session!;
    this.#observed = await session.observe(this.#config);
    if (this.#taken === null || this.#written !== this.#generation) return;
    const fault = strayed(this.#observed, this.#taken);
    if (fault === null) return;
    this.#repairs++;
    this.#deps.log.warn({ fault }, 'BIRD strayed from what it was told; it reads its file again');
    await session.enable(this.#observed);
    await this.#configure(this.#taken);
    this.#observed = await session.observe(this.#config);
    const still = strayed(this.#observed, this.#taken);
    if (still !== null) throw new UnavailableError(still);
  }

  #say(error: Error | null): void {
    const trouble = error?.message ?? null;
    if (trouble !== this.#trouble) {
      if (trouble !== null) this.#deps.log.warn({ problem: trouble }, 'routes are not as they should be');
      else this.#deps.log.info({}, 'routes are as they should be');
    }
    this.#trouble = trouble;
    const status = JSON.stringify(this.status());
    if (status === this.#lastStatus) return;
    this.#lastStatus = status;
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (err) {
        this.#deps.log.error({ err }, 'a change of the routes could not be told');
      }
    }
  }
}

function unavailable(error: Error): UnavailableError {
  return error instanceof UnavailableError ? error : new UnavailableError(error.message, { cause: error });
}
