import { UnavailableError } from '../base/errors.js';
import type { BirdConfig } from '../config/cluster.js';
import { type Adopted, adopt, isOurs } from './adopt.js';
import type { Control } from './control.js';
import { refused, verdictOf } from './replies.js';
import type { AnnouncerDeps } from './system.js';

const GROUPS = '/etc/group';

type Deps = Pick<AnnouncerDeps, 'files' | 'processes'>;

/** BIRD's configuration on disk: at every moment the one before or the one after, whole, and one that BIRD accepts. */
export class ConfigFile {
  readonly #config: BirdConfig;
  readonly #deps: Deps;
  #text: string | null = null;

  constructor(config: BirdConfig, deps: Deps) {
    this.#config = config;
    this.#deps = deps;
  }

  /** As it was last read or written; null: there is none. */
  get text(): string | null {
    return this.#text;
  }

  /** What an agent before this one announced; null: nothing that could be taken up. @throws UnavailableError */
  async read(): Promise<Adopted | null> {
    const { configFile } = this.#config;
    let text: string | null;
    try {
      text = await this.#deps.files.read(configFile);
    } catch (error) {
      throw new UnavailableError(`${configFile} cannot be read: ${(error as Error).message}`);
    }
    this.#text = text;
    // Empty: the machine crashed before the disk had what was written.
    if (text === null || text.replaceAll('\0', '') === '') return null;
    if (!isOurs(text)) {
      throw new UnavailableError(
        `${configFile} was not written by spillwayd, and is left as it is: move it away, or name another routes.configFile`,
      );
    }
    return adopt(text);
  }

  /** @throws UnavailableError; then the file is the one before */
  async write(text: string, control: Control | null): Promise<void> {
    if (text === this.#text) return;
    const { files } = this.#deps;
    const { configFile } = this.#config;
    const fresh = `${configFile}.new`;
    try {
      await files.write(fresh, text, await this.#gid());
      const refusal = control === null ? await this.#checkByBinary(fresh) : await checkByBird(fresh, control);
      if (refusal !== null) {
        const words = refusal.replaceAll(`${fresh}:`, 'line ');
        throw new UnavailableError(`BIRD refuses its configuration, the one before stays: ${words}`);
      }
      await files.rename(fresh, configFile);
      this.#text = text;
    } catch (error) {
      await files.remove(fresh).catch(() => {});
      if (error instanceof UnavailableError) throw error;
      throw new UnavailableError(`${configFile} cannot be written, the one before stays: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  /** Null where there is no binary to ask: then nobody reads the file either. */
  async #checkByBinary(file: string): Promise<string | null> {
    try {
      return await this.#deps.processes.check(this.#config.binary, file);
    } catch {
      return null;
    }
  }

  /** A BIRD that gives up root (Debian's service does) reads it by its group: that of its socket, or of its package. */
  async #gid(): Promise<number> {
    const { socket, supervise } = this.#config;
    const running = await this.#deps.files.gid(socket);
    if (running !== null || supervise) return running ?? 0;
    return groupOf('bird', await this.#deps.files.read(GROUPS));
  }
}

/** 0: there is no such group. */
function groupOf(name: string, groups: string | null): number {
  const line = groups?.split('\n').find((one) => one.startsWith(`${name}:`));
  return Number(line?.split(':')[2] ?? 0);
}

/** By the one that will read it: it may be of another version than the binary on disk. */
async function checkByBird(file: string, control: Control): Promise<string | null> {
  const reply = await control.command(`configure check "${file}"`);
  return refused(reply) ? verdictOf(reply).text : null;
}
