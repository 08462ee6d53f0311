import type { NodeReport, Verdicts } from '../cluster/types.js';
import type { SyncControl } from '../dataplane/addon.js';
import { Admission } from './admission.js';
import { BeaconSender } from './beacons.js';
import { MAX_PEERS, PeerBook, PeerState } from './peer_book.js';
import type { Clock, EnginePort, RandomBytes } from './ports.js';
import { refusalOf } from './refusal.js';
import { VerdictSender } from './verdict_pages.js';
import { type Beacon, type ControlMessage, decodeControl, encodeControl, nodeId, type VerdictPage } from './wire.js';

const LOOK_MS = 100;
/** Looks that lie further apart: this process stood still, and what came meanwhile is not read yet. */
const STALL_MS = 300;
/**
 * Silent for so long, a start has to show again that it is there, and an older one would be taken in its place: a clock
 * was set back. Until then the engine knows its numbers, and asks for what was lost meanwhile.
 */
const GONE_MS = 30_000;
/** A double is spoken of for so long after it was last seen. */
const DOUBLE_MS = 10_000;

export interface MembershipOptions {
  readonly name: string;
  readonly node: number;
  readonly boot: bigint;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly engine: Pick<EnginePort, 'admit' | 'forget' | 'control' | 'peers'>;
  readonly report: NodeReport;
  readonly transferPort: () => number;
  /** Something that peers() shows is other than before. */
  readonly onChange: () => void;
  /** This node's table may lack what that peer has: it is new, came back, became active, or left announcements out. */
  readonly onCompare: (peer: PeerState) => void;
  /** A node is silent: what it said last may have come to some nodes and not to others. */
  readonly onGone: () => void;
}

type Sender = Pick<SyncControl, 'node' | 'boot' | 'from'>;

/** Who is in the cluster: beacons out and in, challenge and admission, who is alive, verdicts. */
export class Membership {
  readonly book = new PeerBook();
  readonly #options: MembershipOptions;
  readonly #admission: Admission;
  readonly #beacons: BeaconSender;
  readonly #verdicts: VerdictSender;
  readonly #doubles = new Map<string, number>();
  #tooMany = -Infinity;
  #lookedMs: number;
  #cancelLook: () => void = () => {};
  #closed = false;

  constructor(options: MembershipOptions) {
    this.#options = options;
    const { boot, clock, random, engine } = options;
    this.#admission = new Admission({ boot, clock, random, send: (body, to) => engine.control(body, to) });
    this.#beacons = new BeaconSender({
      clock,
      report: options.report,
      transferPort: options.transferPort,
      send: (body, to) => engine.control(body, to),
    });
    this.#verdicts = new VerdictSender({ clock, send: (body) => engine.control(body, null) });
    this.#lookedMs = clock.monotonicMs();
    this.#look();
  }

  setReport(report: NodeReport): void {
    if (this.#closed) return;
    this.#beacons.setReport(report);
    for (const peer of this.book.all()) this.#judge(peer);
  }

  setVerdicts(verdicts: Verdicts): void {
    if (!this.#closed) this.#verdicts.set(verdicts);
  }

  /** Peers are to compare their tables with this node's. */
  resync(): void {
    if (!this.#closed) this.#beacons.resync();
  }

  take({ node, boot, from, body }: SyncControl): void {
    const message = decodeControl(body);
    if (message === null || this.#closed) return;
    if (node === this.#options.node && boot === this.#options.boot) return;
    if (message.challenge) this.#challenged({ node, boot, from }, message.challenge);
    else if (message.answer) this.#answered({ node, boot, from }, message.answer.nonce);
    else this.#said({ node, boot, from }, message);
  }

  #said({ node, boot, from }: Sender, message: ControlMessage): void {
    const { node: self } = this.#options;
    const peer = node === self ? undefined : this.book.get(node);
    if (peer?.boot !== boot || !peer.proved) {
      this.#admission.ask({ node, boot, older: node === self || (peer !== undefined && boot < peer.boot) }, from);
      return;
    }
    peer.from = from;
    if (message.beacon) this.#heard(peer, message.beacon);
    else if (message.verdicts) this.#judged(peer, message.verdicts);
    else if (message.goodbye) this.#left(peer);
  }

  #challenged({ node, boot, from }: Sender, challenge: { nonce: bigint; bootId: bigint }): void {
    if (!this.#admission.answer(challenge, from)) return;
    // Whoever asks does not know this node yet, and is not known here, mostly: neither beacon need be waited for.
    this.#beacons.sendTo(from);
    if (node !== this.#options.node && this.book.get(node) === undefined)
      this.#admission.ask({ node, boot, older: false }, from);
  }

  #answered({ node, boot, from }: Sender, nonce: bigint): void {
    if (this.#admission.proves({ node, boot, nonce })) this.#proved({ node, boot, from });
  }

  #proved({ node, boot, from }: Sender): void {
    const { clock, name } = this.#options;
    const now = clock.monotonicMs();
    if (node === this.#options.node) {
      this.#double(
        `another agent, at ${from.address}, runs as node "${name}" like this one: give one of them another node.name`,
      );
      return;
    }
    const known = this.book.get(node);
    if (known?.boot === boot) {
      known.proved = true;
      return;
    }
    if (known !== undefined && boot < known.boot && known.proved) return;
    if (known?.admitted) this.#options.engine.forget(node);
    if (!this.book.add(new PeerState(node, boot, from, now))) this.#tooMany = now;
  }

  #double(text: string): void {
    this.#doubles.set(text, this.#options.clock.monotonicMs());
    this.#options.onChange();
  }

  #heard(peer: PeerState, beacon: Beacon): void {
    const { clock, onChange, onCompare } = this.#options;
    const before = peer.beacon;
    const wasAlive = peer.alive;
    peer.hear(clock.monotonicMs());
    peer.beacon = beacon;
    peer.alive = true;
    peer.measureLag(Math.max(0, clock.wallMs() - Number(beacon.sentAtUs) / 1000));
    this.#judge(peer);
    const isNew = before === null || !wasAlive;
    const isActive = beacon.life === 'ACTIVE' && before?.life !== 'ACTIVE';
    if (peer.admitted && (isNew || isActive || beacon.resync > before.resync)) onCompare(peer);
    if (isNew || differs(before, beacon)) onChange();
  }

  /** Are its records ours to take? */
  #judge(peer: PeerState): void {
    const { beacon, node, boot, proved } = peer;
    if (beacon === null || !proved) return;
    const { engine, onChange } = this.#options;
    const refusal =
      nodeId(beacon.name) === node
        ? refusalOf(beacon, this.#beacons.report)
        : `a peer calls itself "${beacon.name}", which is not what its datagrams say`;
    if (refusal !== peer.refusal) onChange();
    peer.refusal = refusal;
    if (refusal === '' && !peer.admitted) {
      engine.admit(node, boot);
      this.#verdicts.publishSoon();
    } else if (refusal !== '' && peer.admitted) engine.forget(node);
    peer.admitted = refusal === '';
  }

  #judged(peer: PeerState, page: VerdictPage): void {
    const { clock, onChange } = this.#options;
    if (peer.verdicts.take(page, clock.monotonicMs())) onChange();
  }

  #left(peer: PeerState): void {
    peer.saidGoodbye = true;
    if (!peer.alive) return;
    peer.alive = false;
    this.#options.onGone();
    this.#options.onChange();
  }

  #look(): void {
    const { clock, engine, onChange, onGone } = this.#options;
    const now = clock.monotonicMs();
    const gap = now - this.#lookedMs;
    this.#lookedMs = now;
    // Timers run before sockets are read: the time in which nobody listened is nobody's silence.
    if (gap > STALL_MS) this.book.excuse(gap - LOOK_MS, now);
    const { changed, forgotten } = this.book.look(now, engine.peers());
    for (const node of forgotten) engine.forget(node);
    for (const peer of this.book.all()) {
      if (peer.alive || !peer.proved || clock.monotonicMs() - peer.heardMs < GONE_MS) continue;
      engine.forget(peer.node);
      peer.proved = peer.admitted = false;
    }
    if (changed.some(({ alive }) => !alive)) onGone();
    if (changed.length > 0 || forgotten.length > 0) onChange();
    this.#cancelLook = clock.after(LOOK_MS, () => this.#look());
  }

  problems(): readonly string[] {
    const now = this.#options.clock.monotonicMs();
    for (const [text, at] of this.#doubles) if (now - at > DOUBLE_MS) this.#doubles.delete(text);
    const refusals = this.book.all().flatMap(({ refusal, alive }) => (refusal !== '' && alive ? [refusal] : []));
    const tooMany =
      now - this.#tooMany < DOUBLE_MS ? [`more than ${MAX_PEERS} other nodes are there: the rest is not heard`] : [];
    return [...this.#doubles.keys(), ...refusals, ...tooMany];
  }

  /** Says goodbye; what comes in from now on is not looked at. */
  close(): void {
    this.#closed = true;
    this.#admission.close();
    this.#cancelLook();
    this.#beacons.close();
    this.#verdicts.close();
    this.#options.engine.control(encodeControl({ goodbye: {} }), null);
  }
}

/** In what somebody may wait for; the number of sessions changes all the time. */
function differs(a: Beacon, b: Beacon): boolean {
  return (
    a.life !== b.life ||
    a.zone !== b.zone ||
    a.version !== b.version ||
    a.configVersion !== b.configVersion ||
    a.configDigest !== b.configDigest ||
    a.announced !== b.announced ||
    a.suspect !== b.suspect
  );
}
