import type { Random } from '../../random.js';
import { SimClock } from '../sim_clock.js';
import { CLOSING, ESTABLISHED, YOUNG } from './data_path.js';
import { Network } from './network.js';
import { SimNode, TICK_MS, TIMEOUT_MS } from './node.js';

export const BACKENDS = 12;
/** After that an announcement has to be everywhere. */
const ANNOUNCED_MS = 20;
/** Once a link is whole again, what was lost is mended by then; what is announced after LINK_MS arrives at once. */
const MENDED_MS = 12_000;
const LINK_MS = 1000;
/** Each node compares with each other by then. */
const TURNS_MS = 75_000;
const STEP_MS = 50;
const SWEEP_MS = 2000;

/** One connection: where its packets go is the router's, who serves it the tables'. */
export interface Flow {
  readonly tag: bigint;
  readonly number: number;
  /** By index; -1: no packet yet. */
  backend: number;
  node: SimNode | null;
  established: boolean;
  /** Who logged its last change for the others, and when. */
  announcer: SimNode | null;
  changedMs: number;
  seenMs: number;
  endsMs: number;
}

export interface Tally {
  made: number;
  ended: number;
  packets: number;
  checks: number;
  /** Packets that came to another node than before. */
  moved: number;
  /** Of those: to another backend, because what the node did not know could not reach it. */
  excused: number;
}

/** Nodes, a router, clients; what happens to them is the story's (story.ts). */
export class World {
  readonly clock = new SimClock();
  readonly network: Network;
  readonly nodes: SimNode[] = [];
  readonly flows = new Map<number, Flow>();
  readonly tally: Tally = { made: 0, ended: 0, packets: 0, checks: 0, moved: 0, excused: 0 };
  /** Each a broken promise. */
  readonly violations: string[] = [];
  readonly diary: string[] = [];
  readonly startMs = this.clock.monotonicMs();
  /** Of new flows, each second. */
  rate = 20;
  #due = new Map<number, Flow[]>();
  #number = 0;
  #pending = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    readonly random: Random,
    { nodes, keys }: { nodes: number; keys: string },
  ) {
    this.network = new Network(this.clock, random);
    this.clock.settle = () => this.#settle();
    for (let i = 0; i < nodes; i++) {
      const node: SimNode = new SimNode({
        ...{ name: `lb${i + 1}`, address: `10.0.0.${i + 1}`, clock: this.clock, network: this.network },
        ...{ recordsPerSecond: 20_000, keys, numbers: shuffled(random, BACKENDS).map((n) => n + 1 + i) },
        exclusively: (work) => this.#exclusively(work),
        onUnannounced: (count) => {
          this.note(`${node.name} left ${count} announcements out`);
          this.refreshLinksOf(node);
        },
      });
      this.nodes.push(node);
    }
    this.#step();
    this.#tick();
    this.#sweep();
  }

  get nowMs(): number {
    return this.clock.monotonicMs();
  }

  note(text: string): void {
    this.diary.push(`${((this.nowMs - this.startMs) / 1000).toFixed(2)} s: ${text}`);
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    this.#pending++;
    const result = this.#turn.then(work).finally(() => this.#pending--);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #settle(): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve));
    while (this.#pending > 0);
  }

  /** What a node says may not arrive, or not be heard, until further notice, or from now on again. */
  refreshLinksOf(node: SimNode, only?: SimNode): void {
    for (const other of this.nodes) if (other !== node && (only ?? other) === other) this.#refresh(node, other);
  }

  /** The state of the links changed: those that are whole are so from now on. */
  refreshLinks(): void {
    for (const [i, a] of this.nodes.entries()) for (const b of this.nodes.slice(i + 1)) this.#refresh(a, b);
  }

  #refresh(a: SimNode, b: SimNode): void {
    const link = this.network.link(a.options.address, b.options.address);
    const whole = !link.cut && this.network.loss === 0 && a.joined !== null && b.joined !== null && !this.changing;
    if (Number.isFinite(link.cleanSinceMs)) link.before = { sinceMs: link.cleanSinceMs, untilMs: this.nowMs };
    link.cleanSinceMs = whole ? this.nowMs : Number.POSITIVE_INFINITY;
  }

  /** Nodes do not have the same configuration. */
  changing = false;
  /** When a backend came into it. */
  readonly addedMs = new Map<number, number>();

  /** ---- traffic ---- */

  begin(count: number): void {
    for (let i = 0; i < count; i++) {
      const flow: Flow = {
        tag: (BigInt(this.random.word()) << 32n) | BigInt((this.random.word() | 1) >>> 0),
        ...{ number: this.#number++, backend: -1, node: null, announcer: null, established: false },
        ...{ changedMs: 0, seenMs: 0, endsMs: this.nowMs + 5000 + this.random.below(150_000) },
      };
      this.flows.set(flow.number, flow);
      this.tally.made++;
      this.#later(flow, this.random.below(STEP_MS * 4));
    }
  }

  #later(flow: Flow, ms: number): void {
    const step = Math.ceil((this.nowMs + ms) / STEP_MS);
    const list = this.#due.get(step);
    if (list === undefined) this.#due.set(step, [flow]);
    else list.push(flow);
  }

  #step(): void {
    const step = Math.floor(this.nowMs / STEP_MS);
    const due = this.#due.get(step) ?? [];
    this.#due.delete(step);
    for (const flow of due) this.#packet(flow);
    const wanted = (this.rate * STEP_MS) / 1000;
    this.begin(Math.floor(wanted) + (this.random.chance(wanted % 1) ? 1 : 0));
    this.clock.after(STEP_MS - (this.nowMs % STEP_MS), () => this.#step());
  }

  /** The router's choice: of those that announce, the same as long as they are the same. */
  route(flow: Flow): SimNode | null {
    let best: SimNode | null = null;
    let most = -1;
    for (const [i, node] of this.nodes.entries()) {
      if (!node.announces) continue;
      const weight = mix(flow.number, i + 1);
      if (weight > most) [best, most] = [node, weight];
    }
    return best;
  }

  /** The scheduler's choice on any node: a pure function of the flow and of the backends. */
  choose(flow: Flow, backends: readonly number[]): number {
    let best = -1;
    let most = -1;
    for (const backend of backends) {
      const weight = mix(flow.number, 1000 + backend);
      if (weight > most) [best, most] = [backend, weight];
    }
    return best;
  }

  #packet(flow: Flow): void {
    const node = this.route(flow);
    if (node === null || node.backends.length === 0) {
      this.#later(flow, 1000);
      return;
    }
    this.tally.packets++;
    const ends = this.nowMs >= flow.endsMs;
    this.#serve(flow, { node, state: ends && flow.established ? CLOSING : ESTABLISHED });
    node.soon();
    if (ends) {
      this.flows.delete(flow.number);
      this.tally.ended++;
    } else this.#later(flow, flow.established ? 3000 + this.random.below(40_000) : 200 + this.random.below(800));
  }

  /** As the data path does: the session that is there, or a young one; what changes is logged. */
  #serve(flow: Flow, { node, state: wanted }: { node: SimNode; state: number }): void {
    const { numbers } = node.options;
    const entry = node.kernel.find(flow.tag);
    const known = this.#indexOf(node, entry?.backend);
    if (flow.node !== null && flow.node !== node) this.#moved(flow, { node, backend: known });
    const backend = node.backends.includes(known) ? known : this.choose(flow, node.backends);
    const state = entry === null ? YOUNG : wanted;
    const row = { backend: numbers[backend]!, state, tick: node.tick() };
    if (entry === null) node.kernel.insert(flow.tag, { ...row, client: flow.number });
    else node.kernel.write(entry.slot, row);
    if (entry === null || entry.state !== state || entry.backend !== row.backend) {
      if (entry !== null) node.kernel.note(entry.slot);
      [flow.announcer, flow.changedMs] = [node, this.nowMs];
    } else if (backend !== flow.backend || !flow.established) {
      // It was merged from elsewhere: who announced it, and when, is not known.
      [flow.announcer, flow.changedMs] = [null, this.nowMs];
    }
    [flow.node, flow.backend, flow.seenMs, flow.established] = [node, backend, this.nowMs, state === ESTABLISHED];
  }

  #indexOf(node: SimNode, number: number | undefined): number {
    return number === undefined ? -1 : node.options.numbers.indexOf(number);
  }

  /** A packet at another node than the last one: an established connection must not change hands. */
  #moved(flow: Flow, { node, backend }: { node: SimNode; backend: number }): void {
    this.tally.moved++;
    const serves = node.backends.includes(backend) ? backend : this.choose(flow, node.backends);
    if (!flow.established || serves === flow.backend || !node.backends.includes(flow.backend)) return;
    if (this.#mustHold(flow, node)) {
      this.violate(`connection ${flow.number} went from backend ${flow.backend} to ${serves} when ${node.name} got it`);
    } else {
      this.tally.excused++;
      this.note(
        `connection ${flow.number} changed hands at ${node.name}: what ${flow.announcer?.name} announced could not reach it`,
      );
    }
  }

  /** ---- what has to hold ---- */

  violate(text: string): void {
    if (this.violations.length < 20)
      this.violations.push(`${((this.nowMs - this.startMs) / 1000).toFixed(2)} s: ${text}`);
  }

  #mustHold(flow: Flow, node: SimNode): boolean {
    const now = this.nowMs;
    if (!flow.established || node.joined === null || now - flow.seenMs > TIMEOUT_MS / 2) return false;
    return this.#wasTold(flow, node) || this.#hasComparedWithHolder(flow, node);
  }

  /** By who announced it, which may be gone since. */
  #wasTold({ announcer, changedMs, backend }: Flow, node: SimNode): boolean {
    if (announcer === null || announcer === node) return false;
    // Sessions of a backend that was removed are nobody's until it is there again, and compared.
    if (this.nowMs - (this.addedMs.get(backend) ?? Number.NEGATIVE_INFINITY) < MENDED_MS) return false;
    const { cleanSinceMs, before } = this.network.link(announcer.options.address, node.options.address);
    const isIn = (sinceMs: number, untilMs: number): boolean =>
      changedMs < untilMs - ANNOUNCED_MS && (untilMs - sinceMs > MENDED_MS || changedMs > sinceMs + LINK_MS);
    if (isIn(cleanSinceMs, this.nowMs)) return announcer.joined !== null && announcer.joinedMs < changedMs;
    return (
      before !== null &&
      announcer.diedMs === before.untilMs &&
      node.joinedMs <= before.sinceMs &&
      isIn(before.sinceMs, before.untilMs)
    );
  }

  /** Of two that can speak with each other, each has what the other has, after some turns of comparing. */
  #hasComparedWithHolder({ node: holder, backend, tag, changedMs }: Flow, node: SimNode): boolean {
    if (holder === null || holder === node || holder.joined === null) return false;
    const { cleanSinceMs } = this.network.link(holder.options.address, node.options.address);
    if (this.nowMs - Math.max(cleanSinceMs, changedMs) < TURNS_MS) return false;
    const entry = holder.kernel.find(tag);
    return entry !== null && entry.state === ESTABLISHED && this.#indexOf(holder, entry.backend) === backend;
  }

  /** Of all flows, or of so many. */
  check(count = Number.POSITIVE_INFINITY): void {
    let left = count;
    for (const flow of this.flows.values()) {
      if (!flow.established || (count < this.flows.size && !this.random.chance(count / this.flows.size))) continue;
      if (left-- <= 0) return;
      for (const node of this.nodes) {
        if (!this.#mustHold(flow, node)) continue;
        this.tally.checks++;
        const entry = node.kernel.find(flow.tag);
        const backend = this.#indexOf(node, entry?.backend);
        if (backend === flow.backend || !node.backends.includes(flow.backend)) continue;
        const holds = entry === null ? 'nothing' : `backend ${backend} in state ${entry.state}`;
        const link = this.network.link(flow.node!.options.address, node.options.address);
        this.violate(
          `connection ${flow.number} (tag ${flow.tag.toString(16)}) on backend ${flow.backend} at ${flow.node!.name} ` +
            `since ${Math.round(this.nowMs - flow.changedMs)} ms, seen ${Math.round(this.nowMs - flow.seenMs)} ms ago: ` +
            `${node.name} holds ${holds}; link clean for ${Math.round(this.nowMs - link.cleanSinceMs)} ms`,
        );
      }
    }
  }

  /** A node that says that it has joined has what the other one had, but for what was made just now. */
  checkJoined(node: SimNode, from: string | null): void {
    const source = this.nodes.find(({ name }) => name === from);
    const isWhole =
      source &&
      this.network.loss === 0 &&
      !this.changing &&
      !this.network.link(source.options.address, node.options.address).cut;
    if (!isWhole) return;
    for (const { number, tag, established, backend, changedMs } of this.flows.values()) {
      const there = established && this.nowMs - changedMs > LINK_MS ? source.kernel.find(tag) : null;
      if (
        there?.state !== ESTABLISHED ||
        !node.backends.includes(backend) ||
        this.#indexOf(source, there.backend) !== backend
      )
        continue;
      this.tally.checks++;
      if (this.#indexOf(node, node.kernel.find(tag)?.backend) === backend) continue;
      this.violate(`${node.name} joined without connection ${number}, which ${from} has`);
    }
  }

  /** ---- time ---- */

  #tick(): void {
    for (const node of this.nodes) node.setClock();
    this.clock.after(TICK_MS - (this.nowMs % TICK_MS), () => this.#tick());
  }

  #sweep(): void {
    this.clock.after(
      SWEEP_MS,
      () => {
        for (const node of this.nodes) void node.sweep();
        this.check(300);
        this.#sweep();
      },
      true,
    );
  }

  close(): void {
    for (const node of this.nodes) node.remove();
  }
}

export function mix(a: number, b: number): number {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

export function shuffled(random: Random, count: number): number[] {
  const list = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}
