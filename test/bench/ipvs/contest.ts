import { join } from 'node:path';
import type { Bed, Loaded } from '../bed.js';
import { sendLive } from '../live/send.js';
import { type Sink, settled } from '../live/sink.js';
import { clearTable, observe, since } from '../observe.js';
import { ROOT } from '../paths.js';
import type { Sample } from './cases.js';
import { emulatedSeconds } from './emulator.js';
import type { Balancer, Generator, Options } from './options.js';
import { ipvsConnections, PORT, Topology, VIP } from './topology.js';

/** To start and to stop a generator costs something: what is measured is what a long run takes more than a short one. */
const SHORT = 10_000;
/** Of a long one more, at least. */
const LEAST = 50_000;
const PKTGEN = join(ROOT, 'scripts', 'pktgen');
/** Generators and what they cause run on this one; this process on the other. */
const CPU = 0;

/** Every balancer's turn: a topology of its own, each generator and number of flows through it. */
export class Contest {
  readonly faults: string[] = [];

  constructor(
    private readonly bed: Bed,
    private readonly sink: Sink,
  ) {}

  async play(balancer: Balancer, round: number, options: Options): Promise<Sample[]> {
    const topology = await Topology.up();
    const samples: Sample[] = [];
    try {
      const lb = await this.#install(topology, balancer);
      for (const generator of options.generators) {
        for (const flows of options.flows) {
          if (lb) clearTable(lb.maps);
          samples.push(await this.#measure(topology, { balancer, lb, generator, flows, round, options }));
        }
      }
    } finally {
      await topology.down();
    }
    return samples;
  }

  /** Puts it there; Spillway's program and maps if it is that. */
  async #install(topology: Topology, balancer: Balancer): Promise<Loaded | null> {
    if (balancer.startsWith('ipvs')) {
      const [, mode, scheduler] = balancer.split('-');
      await topology.ipvs(scheduler!, mode === 'dr' ? '-g' : '-i');
      return null;
    }
    if (balancer === 'drop') {
      await topology.balancer.attachXdp('lb0', this.sink.programId);
      return null;
    }
    const lb = this.bed.loaded.find(({ forwarding }) => balancer === `spillway-${forwarding}`)!;
    await topology.balancer.attachXdp('lb0', lb.programId);
    await topology.client.attachXdp('c0', this.sink.programId);
    return lb;
  }

  async #measure(topology: Topology, turn: Turn): Promise<Sample> {
    const { balancer, generator, flows, round, options, lb } = turn;
    const count = balancer.startsWith('ipvs') ? () => topology.left() : () => this.sink.packets();
    const how = { generator, flows, instructions: options.instructions };
    const warm = Math.max(2 * flows, LEAST);
    const probe = await send(topology, { ...how, packets: warm, inSequence: true });
    const long = SHORT + Math.max(LEAST, Math.ceil(((warm / probe.seconds) * options.milliseconds) / 1000));
    const seen = lb && observe(lb.maps);
    const before = await settled(count);
    const short = await send(topology, { ...how, packets: SHORT, inSequence: false });
    const between = await settled(count);
    const sent = await send(topology, { ...how, packets: long, inSequence: false });
    const came = (await settled(count)) - between;
    const where = `${balancer}, ${generator}, ${flows} flows`;
    if (came > sent.packets) this.faults.push(`${where}: ${came} packets came of ${sent.packets} sent`);
    if (came < sent.packets / 2) this.faults.push(`${where}: only ${came} of ${sent.packets} packets came`);
    if (lb && seen) {
      const { packets: counted, passedOrDropped, sessions, evicted } = since(seen, observe(lb.maps));
      if (counted < came) this.faults.push(`${where}: ${counted} packets counted, ${came} came`);
      if (passedOrDropped + sessions + evicted > 0) {
        this.faults.push(
          `${where}: ${passedOrDropped} packets not forwarded, ${sessions} sessions new, ${evicted} evicted`,
        );
      }
    }
    if (balancer.startsWith('ipvs') && flows > 1) {
      const connections = ipvsConnections();
      if (connections < flows * 0.9) this.faults.push(`${where}: IPVS has ${connections} connections`);
    }
    const more = (came - (between - before)) / (sent.seconds - short.seconds);
    return { balancer, generator, flows, round, pps: more, loss: 1 - came / sent.packets };
  }
}

interface Turn {
  readonly balancer: Balancer;
  readonly lb: Loaded | null;
  readonly generator: Generator;
  readonly flows: number;
  readonly round: number;
  readonly options: Options;
}

interface Order {
  readonly generator: Generator;
  readonly instructions: boolean;
  readonly flows: number;
  readonly packets: number;
  readonly inSequence: boolean;
}

/** The machine's own clock counts instructions, or else the host's CPU time for the emulation is what counts. */
async function send(topology: Topology, order: Order): Promise<Sent> {
  if (order.instructions) return generators[order.generator](topology, order);
  const before = emulatedSeconds(CPU);
  const { packets } = await generators[order.generator](topology, order);
  return { packets, seconds: emulatedSeconds(CPU) - before };
}

const generators: Readonly<Record<Generator, (topology: Topology, order: Order) => Promise<Sent>>> = { live, pktgen };

async function live({ client }: Topology, { flows, packets, inSequence }: Order): Promise<Sent> {
  return sendLive(client, { device: 'c0', kind: 'udp4', cpus: [CPU], flows, packets, inSequence });
}

async function pktgen({ client }: Topology, { flows, packets, inSequence }: Order): Promise<Sent> {
  const to = ['-i', 'c0', '-d', VIP, '-m', '02:00:00:00:00:01', '-p', `${PORT}`];
  const how = ['-f', `${flows}`, '-n', `${packets}`, '-s', '60', '-c', `${CPU}`, ...(inSequence ? [] : ['--random'])];
  const { sent, errors, threads } = JSON.parse(await client.exec(PKTGEN, ...to, ...how, '--json')) as Printed;
  return { packets: sent + errors, seconds: Math.max(...threads.map(({ seconds }) => seconds)) };
}

interface Sent {
  readonly packets: number;
  readonly seconds: number;
}

interface Printed {
  readonly sent: number;
  readonly errors: number;
  readonly threads: readonly { readonly seconds: number }[];
}
