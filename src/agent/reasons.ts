import { Reason, TableEvent } from '../abi/abi.generated.js';

type ReasonName = Exclude<keyof typeof Reason, 'REASON_COUNT'>;

/** In words for people: what it means, and what to do about it. */
const help: Record<ReasonName, string> = {
  PASS_NOT_IP: 'ARP, LLDP and the like: left to the kernel',
  PASS_NOT_VIP: 'to an address that is no VIP: left to the kernel',
  PASS_OTHER_MAC: 'to a VIP in a frame for another host (flooded by a switch): left to the kernel, which drops it',
  PASS_MALFORMED: 'too short to tell its destination: left to the kernel',
  DROP_NO_LISTENER: 'to a VIP, on a port and protocol without a listener',
  DROP_PROTOCOL: 'to a VIP, neither TCP nor UDP',
  DROP_ICMP: 'ICMP to a VIP',
  DROP_FRAGMENT: 'a fragment to a VIP: find who fragments, or lower the MSS',
  DROP_MALFORMED: 'lengths that do not add up, or a header cut off',
  DROP_EXTENSION: 'an IPv6 extension header before the transport header',
  DROP_NO_BACKEND: 'no backend can take it: all are unhealthy, drained or unresolved',
  DROP_BACKEND_DOWN: 'its backend went down and the table still names it: should last a moment only',
  DROP_TOO_BIG: 'would exceed the MTU of the way to the backend once encapsulated: raise that MTU or lower the MSS',
  DROP_NO_HEADROOM: 'the driver leaves no room for an outer header: see the list of drivers in the README',
  DROP_STOPPED: 'the listener is stopped',
  DROP_INTERNAL: 'the tables contradict each other: report this',
};

export interface ReasonInfo {
  readonly index: number;
  /** The C enum's word in lower case, without prefix. */
  readonly word: string;
  readonly drop: boolean;
  readonly help: string;
}

export const reasons: readonly ReasonInfo[] = (Object.keys(help) as ReasonName[]).map((name) => ({
  index: Reason[name],
  word: name.replace(/^(PASS|DROP)_/, '').toLowerCase() + (name === 'PASS_MALFORMED' ? '_frame' : ''),
  drop: name.startsWith('DROP_'),
  help: help[name],
}));

export function reasonWord(index: number): string {
  return reasons.find((reason) => reason.index === index)?.word ?? `reason_${index}`;
}

/** "inserted", "evicted_young"...: by index of lb_counters.table. */
export const tableEventWords: readonly string[] = (Object.entries(TableEvent) as [keyof typeof TableEvent, number][])
  .filter(([name]) => name !== 'TABLE_EVENT_COUNT')
  .sort(([, a], [, b]) => a - b)
  .map(([name]) => name.replace(/^TABLE_/, '').toLowerCase());
