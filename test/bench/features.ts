import { Bed, type Loaded } from './bed.js';
import { runDriver } from './driver.js';
import { clearTable, type Observed, observe } from './observe.js';

/** What the program under test was seen to do, so that a figure is never one of a program with its work switched off. */
export interface Feature {
  readonly name: string;
  readonly inForce: boolean;
  readonly evidence: string;
}

const FLOWS = 100;

export async function probeFeatures(lbObject: string, cpu: number): Promise<Feature[]> {
  const bed = await Bed.open({ lbObject, variants: [{ forwarding: 'l2' }], sessions: 2 * FLOWS, yardstick: false });
  try {
    const lb = bed.loaded[0];
    if (lb === undefined) throw new Error('no load balancer was loaded');
    const send = async (kind: string, flows: number, warmPasses: number): Promise<Observed> => {
      await runDriver({ kind, flows, targets: [lbTarget(lb)], rounds: 0, packetsPerRound: 1, warmPasses, cpu });
      return observe(lb.maps);
    };
    return await probe(lb, send);
  } finally {
    bed.close();
  }
}

export function lbTarget(lb: Loaded): { label: string; programId: number } {
  return { label: `lb-${lb.feature === '' ? lb.forwarding : 'feature'}`, programId: lb.programId };
}

/** In order: each step goes on from the sessions that the one before left. */
async function probe(lb: Loaded, send: (kind: string, flows: number, passes: number) => Promise<Observed>) {
  const afterSyn = await send('tcp4-syn', FLOWS, 1);
  const afterOne = await send('tcp4-ack', FLOWS, 1);
  const afterTwo = await send('tcp4-ack', FLOWS, 1);
  const afterFin = await send('tcp4-fin', FLOWS, 1);
  clearTable(lb.maps);
  await send('tcp4-ack', FLOWS, 2);
  const afterRst = await send('tcp4-rst', FLOWS, 1);
  clearTable(lb.maps);
  const slots = lb.maps.details.info.maxEntries;
  const full = await send('tcp4-ack', 10 * slots, 2);
  const live = full.young + full.established + full.closing;
  const refused = full.evicted + full.notTracked;
  return [
    feature('counters', afterSyn.packets === FLOWS, `${afterSyn.packets} of ${FLOWS} packets counted`),
    feature('no session from a SYN', afterSyn.young + afterSyn.established === 0, `${afterSyn.sessions} inserted`),
    feature('young sessions', afterOne.young === FLOWS, `${afterOne.young} of ${FLOWS} young after one packet`),
    feature(
      'established sessions',
      afterTwo.established === FLOWS,
      `${afterTwo.established} of ${FLOWS} after the second`,
    ),
    feature('FIN', afterFin.closing === FLOWS, `${afterFin.closing} of ${FLOWS} closing`),
    feature('RST', afterRst.closing === FLOWS, `${afterRst.closing} of ${FLOWS} closing`),
    feature(
      'limit of the table',
      live <= slots && refused > 0,
      `${10 * slots} flows at ${slots} slots: ${live} live, ${refused} evicted or not tracked`,
    ),
  ];
}

function feature(name: string, inForce: boolean, evidence: string): Feature {
  return { name, inForce, evidence };
}
