import { NetNs, removeStale } from '../live/netns.js';
import { type Sending, type Sent, sendLive } from '../live/send.js';
import { Sink } from '../live/sink.js';

export const CLIENT = 'c0';
export const BALANCER = 'lb0';

/**
 * Two ends of a veth in a namespace of their own, with a queue for each core: frames are put into the client's end, and
 * come back there to a sink. No frame sees a network stack, so both ends may be in one namespace.
 */
export class Pair {
  private constructor(
    private readonly ns: NetNs,
    /** On the client's end: what came back. */
    readonly returned: Sink,
    /** To be put on the balancer's end: the baseline. */
    readonly dropped: Sink,
  ) {}

  static async open(queues: number): Promise<Pair> {
    await removeStale();
    const ns = await NetNs.add();
    const pair = new Pair(ns, Sink.load(), Sink.load());
    try {
      const shape = ['numtxqueues', `${queues}`, 'numrxqueues', `${queues}`];
      const end = (name: string, mac: string) => [name, 'address', mac, ...shape];
      const ends = [...end(CLIENT, '02:00:00:00:00:02'), 'type', 'veth', 'peer', 'name'];
      await ns.ip('link', 'add', ...ends, ...end(BALANCER, '02:00:00:00:00:01'));
      for (const device of [CLIENT, BALANCER]) await ns.ip('link', 'set', device, 'up');
      await ns.attachXdp(CLIENT, pair.returned.programId);
    } catch (error) {
      await pair.close();
      throw error;
    }
    return pair;
  }

  async attach(programId: number): Promise<void> {
    await this.ns.attachXdp(BALANCER, programId);
  }

  send(sending: Omit<Sending, 'device'>): Promise<Sent> {
    return sendLive(this.ns, { ...sending, device: CLIENT });
  }

  async close(): Promise<void> {
    await this.ns.remove();
    this.returned.close();
    this.dropped.close();
  }
}
