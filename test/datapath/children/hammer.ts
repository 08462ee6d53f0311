/**
 * One CPU's share of the load: sends random packets of random flows through the pinned program and says which left for
 * where they should not have. Argument: HammerOrder as JSON; prints HammerReport.
 */
import { BpfProgram } from '../../../src/dataplane/addon.js';
import { Random } from '../../support/random.js';

export interface HammerOrder {
  readonly program: string;
  readonly seed: number;
  readonly packets: number;
  /** A frame to be given other ports, with room for the client's port at byte 34 and the TCP flags at byte 47. */
  readonly template: string;
  readonly protectedPorts: readonly [number, number];
  readonly otherPorts: readonly [number, number];
  /** MAC address of the one backend that each kind may go to. */
  readonly protectedMac: string;
  readonly otherMac: string;
}

export interface HammerReport {
  readonly packets: number;
  /** "protected 1234 -> 0200...": at most ten. */
  readonly astray: readonly string[];
}

const order = JSON.parse(process.argv[2]!) as HammerOrder;
const random = new Random(order.seed);
const program = BpfProgram.openPinned(order.program);
const frame = Buffer.from(order.template, 'hex');
const astray: string[] = [];
for (let i = 0; i < order.packets; i++) {
  const guarded = random.chance(0.3);
  const [first, count] = guarded ? order.protectedPorts : order.otherPorts;
  const port = first + random.below(count);
  frame.writeUInt16BE(port, 34);
  frame[47] = guarded || random.chance(0.8) ? 0x10 : 0x11;
  const { retval, data } = program.testRun({ data: frame });
  const mac = Buffer.from(data.buffer, data.byteOffset, 6).toString('hex');
  const expected = guarded ? order.protectedMac : order.otherMac;
  if ((retval !== 3 || mac !== expected) && astray.length < 10) {
    astray.push(`${guarded ? 'protected' : 'other'} ${port} -> ${retval} ${mac}`);
  }
}
process.stdout.write(JSON.stringify({ packets: order.packets, astray } satisfies HammerReport));
