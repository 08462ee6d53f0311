import { writeFileSync } from 'node:fs';
import type { Random } from '../../random.js';
import type { SimNode } from './node.js';
import { BACKENDS, shuffled, type World } from './world.js';

/** What happens to a cluster, by chance: one thing after the other, and two at once now and then. */
export class Story {
  readonly counts = new Map<string, number>();
  #keys: string[];
  #rotating = false;

  constructor(
    private readonly world: World,
    private readonly random: Random,
    keys: string[],
  ) {
    this.#keys = keys;
  }

  async begin(): Promise<void> {
    const { nodes } = this.world;
    const backends = shuffled(this.random, BACKENDS).slice(0, 8);
    for (const node of nodes) {
      node.backends = backends;
      await node.start();
      this.#join(node);
    }
  }

  #after(ms: number, run: () => void): void {
    this.world.clock.after(ms, run, true);
  }

  #tell(kind: string, text: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    this.world.note(text);
  }

  /** An event each so often, until told to stop. */
  next(untilMs: number): void {
    const delayMs = 4000 + this.random.below(22_000);
    this.#after(delayMs, () => {
      if (this.world.nowMs >= untilMs) return;
      this.#happen();
      this.next(untilMs);
    });
  }

  #happen(): void {
    const events = [
      () => this.#dies(),
      () => this.#dies(),
      () => this.#restarts(),
      () => this.#partition(),
      () => this.#loss(),
      () => this.#loss(),
      () => this.#burst(),
      () => this.#backends(),
      () => this.#backends(),
      () => this.#rotation(),
    ];
    this.random.pick(events)();
  }

  /** Somebody has to be left. */
  #victim(): SimNode | null {
    const up = this.world.nodes.filter(({ joined, announces }) => joined !== null && announces);
    return up.length >= 2 ? this.random.pick(up) : null;
  }

  #dies(): void {
    const node = this.#victim();
    if (node === null) return;
    const awayMs = 1000 + this.random.below(20_000);
    this.#tell('node died', `${node.name} dies, for ${awayMs} ms`);
    void node.die();
    this.world.refreshLinksOf(node);
    // Its clock may come back wrong.
    if (this.random.chance(0.3)) node.wallOffsetMs -= this.random.below(3_600_000);
    // In the second after: the worst time for it.
    if (this.random.chance(0.3)) this.#after(this.random.below(1000), () => this.#backends());
    this.#after(awayMs, () => this.#start(node));
  }

  #restarts(): void {
    const node = this.#victim();
    if (node === null) return;
    const awayMs = 200 + this.random.below(8000);
    this.#tell('agent restarted', `the agent of ${node.name} restarts, in ${awayMs} ms`);
    void node.kill();
    this.world.refreshLinksOf(node);
    this.#after(awayMs, () => this.#start(node));
  }

  #start(node: SimNode): void {
    node.backends = this.#wanted ?? node.backends;
    void node.start().then(() => this.#join(node));
  }

  #join(node: SimNode): void {
    const { sync } = node;
    void node.join().then((result) => {
      if (node.sync !== sync) return;
      node.announces = true;
      this.world.checkJoined(node, result.from);
      this.world.note(
        `${node.name} joined from ${result.from}: ${result.sessions} sessions in ${Math.round(result.durationMs)} ms, ${result.mendedRanges} ranges mended${result.reason && `: ${result.reason}`}`,
      );
      this.world.refreshLinksOf(node);
    });
  }

  #partition(): void {
    const [a, b] = shuffled(this.random, this.world.nodes.length).map((i) => this.world.nodes[i]!);
    const link = this.world.network.link(a!.options.address, b!.options.address);
    if (link.cut) return;
    const awayMs = 1000 + this.random.below(45_000);
    this.#tell('partition', `${a!.name} and ${b!.name} do not hear each other, for ${awayMs} ms`);
    link.cut = true;
    this.world.refreshLinksOf(a!, b!);
    this.#after(awayMs, () => {
      link.cut = false;
      this.world.note(`${a!.name} and ${b!.name} hear each other again`);
      this.world.refreshLinksOf(a!, b!);
    });
  }

  #loss(): void {
    const { network } = this.world;
    if (network.loss > 0) return;
    network.loss = this.random.pick([0.1, 0.5]);
    network.breaks = 0.1;
    const forMs = 2000 + this.random.below(15_000);
    this.#tell('loss', `${network.loss * 100} % of datagrams get lost, for ${forMs} ms`);
    this.world.refreshLinks();
    this.#after(forMs, () => {
      network.loss = network.breaks = 0;
      this.world.refreshLinks();
    });
  }

  #burst(): void {
    const count = 500 + this.random.below(this.random.chance(0.2) ? 6000 : 1500);
    this.#tell('burst', `${count} connections begin at once`);
    this.world.begin(count);
  }

  /** Of the newest configuration. */
  #wanted: readonly number[] | null = null;

  /** Each node has the new configuration a little later than another. */
  #backends(): void {
    const { world, random } = this;
    if (world.changing) return;
    const now = this.#wanted ?? world.nodes[0]!.backends;
    const others = Array.from({ length: BACKENDS }, (_, i) => i).filter((i) => !now.includes(i));
    const grows = now.length <= 4 || (others.length > 0 && random.chance(0.5));
    const next = grows ? [...now, random.pick(others)] : now.filter((one) => one !== now[random.below(now.length)]);
    this.#tell('backends changed', `backends ${now.join()} become ${next.join()}`);
    this.#wanted = next;
    for (const backend of next) if (!now.includes(backend)) world.addedMs.set(backend, world.nowMs);
    world.changing = true;
    world.refreshLinks();
    for (const node of world.nodes) this.#after(random.below(2000), () => node.setBackends(next));
    this.#after(2000, () => {
      world.changing = false;
      world.refreshLinks();
    });
  }

  /** As the README has it: the new one second on all, then first on all, then the old one goes. */
  #rotation(): void {
    if (this.#rotating) return;
    this.#rotating = true;
    const [old] = this.#keys;
    const fresh = this.random.bytes(32).toString('hex');
    this.#tell('key rotation', 'keys are rotated');
    const stages = [[old!, fresh], [fresh, old!], [fresh]];
    stages.forEach((keys, stage) => {
      for (const { keyFile } of this.world.nodes) {
        this.#after(stage * 8000 + this.random.below(5000), () => writeFileSync(keyFile, `${keys.join('\n')}\n`));
      }
    });
    this.#after(stages.length * 8000, () => {
      this.#keys = [fresh];
      this.#rotating = false;
    });
  }

  /** Everything is whole again. */
  quiet(): void {
    const { world } = this;
    world.rate = 0;
    world.network.loss = world.network.breaks = 0;
    for (const [i, a] of world.nodes.entries()) {
      for (const b of world.nodes.slice(i + 1)) world.network.link(a.options.address, b.options.address).cut = false;
    }
    world.refreshLinks();
  }
}
