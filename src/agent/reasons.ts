import { Reason, TableEvent } from '../abi/abi.generated.js';

type ReasonName = Exclude<keyof typeof Reason, 'REASON_COUNT'>;

/** In words for people: what it means, and what to do about it. */
const help: Record<ReasonName, string> = {
  PASS_NOT_IP: 'ARP, LLDP and the like: left to the kernel',
  PASS_NOT_VIP: 'to an address that is no VIP: left to the kernel',
  PASS_OTHER_MAC: 'to a VIP in a frame for another host (flooded by a switch): left to the kernel, which drops it',
  PASS_MALFORMED: 'too short to tell its destination: left to the kernel',
  PASS_NEIGHBOR: 'IPv6 neighbour discovery about a VIP: left to the kernel, like ARP',
  ANSWER_ECHO: 'an echo request to a VIP, answered',
  ANSWER_TOO_BIG:
    'would exceed the MTU of the way to the backend once encapsulated: the client was told the size that fits',
  DROP_NO_LISTENER: 'to a VIP, on a port and protocol without a listener',
  DROP_PROTOCOL: 'to a VIP, neither TCP, UDP nor ICMP',
  DROP_ICMP:
    'ICMP to a VIP, neither an error nor an echo request that is plain (no options, no fragments) and answered',
  DROP_FRAGMENT:
    'a fragment whose first one was not seen, beyond what is held until it comes (fragments.earlyPerSecond): find who fragments, or lower the MSS',
  DROP_MALFORMED: 'lengths that do not add up, or a header cut off',
  DROP_EXTENSION:
    'more IPv6 extension headers than are read (six, or 256 bytes), or one that is refused (routing type 0)',
  DROP_NO_BACKEND: 'no backend can take it: all are unhealthy, drained or unresolved',
  DROP_BACKEND_DOWN: 'its backend went down and the table still names it: should last a moment only',
  DROP_TOO_BIG:
    'would exceed the MTU of the way to the backend once encapsulated, and the client could not be told: raise that MTU or lower the MSS',
  DROP_NO_HEADROOM: 'the driver leaves no room for an outer header: see the list of drivers in the README',
  DROP_STOPPED: 'the listener is stopped',
  DROP_ECHO_RATE: 'an echo request above the rate that is answered',
  DROP_ICMP_QUOTE: 'an ICMP error that does not quote enough of a packet from the VIP that it was sent to',
  DROP_ICMP_NO_FLOW: 'an ICMP error about a flow that nobody here knows',
  DROP_FRAGMENT_EARLY: 'came before its first fragment: the agent sends it on when that has come',
  DROP_ACCESS_DENIED: "the listener's access list keeps this client out",
  DROP_CONNECTION_RATE: 'more new sessions a second than the limit of the listener or the LoadBalancer',
  DROP_SESSION_LIMIT: 'as many sessions as the limit of the listener or the LoadBalancer allows',
  DROP_BANDWIDTH_LIMIT: 'a new flow while more bits a second come in than the limit allows',
  DROP_PACKET_LIMIT: 'a new flow while more packets a second come in than the limit allows',
  DROP_SOURCE_RATE: 'more new sessions a second from one client (IPv6: one /64) than the limit allows',
  DROP_EGRESS: 'the interface that it has to leave by is not there, or cannot send what XDP hands it',
  DROP_INTERNAL: 'the tables contradict each other: report this',
};

export interface ReasonInfo {
  readonly index: number;
  /** The C enum's word in lower case, without prefix. */
  readonly word: string;
  readonly drop: boolean;
  readonly help: string;
}

function wordOf(name: ReasonName): string {
  const word = name.replace(/^(PASS|ANSWER|DROP)_/, '').toLowerCase();
  if (name.startsWith('ANSWER_')) return `${word}_answered`;
  return name === 'PASS_MALFORMED' ? `${word}_frame` : word;
}

export const reasons: readonly ReasonInfo[] = (Object.keys(help) as ReasonName[]).map((name) => ({
  index: Reason[name],
  word: wordOf(name),
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
