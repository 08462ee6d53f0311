/** By which way a frame leaves that is ready for its next hop: bpf/egress.h is what this is compared with. */
import { type Backend, BackendFlags, type Egress, EgressFlags } from '../../../src/abi/abi.generated.js';
import type { Control } from './control.js';
import type { Parsed } from './parse.js';

export type Departure = { readonly verdict: 'TX' | 'REDIRECT'; readonly frame: Buffer };

/** Interface that a test run's packets come in by: the loopback. */
export const ingress = 1;

/** null: back by the way that it came; undefined: by a way that there is not. */
export function egressOf(backend: Backend, { egresses }: Pick<Control, 'egresses'>): Egress | null | undefined {
  if (!(backend.flags & BackendFlags.BACKEND_STEERED)) return null;
  const egress = egresses[backend.egress];
  return egress && egress.flags & EgressFlags.EGRESS_IN_USE ? egress : undefined;
}

/** `frame`: to its next hop, with the tags that it came with. */
export function leaveBy(egress: Egress | null, frame: Buffer, { ipAt }: Parsed): Departure {
  if (egress === null) return { verdict: 'TX', frame };
  const tagged = ipAt > 14;
  const type = frame.subarray(ipAt - 2, ipAt);
  const link = [frame.subarray(0, 6), egress.mac];
  if (egress.vlan > 0) {
    const tag = Buffer.from([0x81, 0, 0, 0]);
    tag.writeUInt16BE((tagged ? frame.readUInt16BE(14) & 0xf000 : 0) + egress.vlan, 2);
    link.push(tag);
  }
  const ports = egress.ports.filter((port) => port !== 0);
  const verdict = ports.includes(ingress) ? 'TX' : 'REDIRECT';
  return { verdict, frame: Buffer.concat([...link, type, frame.subarray(ipAt)]) };
}
