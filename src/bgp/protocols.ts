/** Reads `show protocols all` and `show bfd sessions`. Text that is not as BIRD 2 writes it gives nulls, never guesses. */
import type { Reply } from './replies.js';

export interface ProtocolState {
  readonly name: string;
  /** "up", "start", "down", "stop"... */
  readonly state: string;
  readonly sinceMs: number | null;
  /** "Established", or "Active  Socket: Connection refused": of BGP the state, then the last error. */
  readonly info: string;
  /** Of its one channel; null: the channel is down, or there is none. */
  readonly imported: number | null;
  readonly exported: number | null;
}

export interface BfdState {
  readonly address: string;
  /** "Up", "Down", "Init", "AdminDown" */
  readonly state: string;
}

const HEADING = 2002;
const PROTOCOL = 1002;
const DETAILS = 1006;
const BFD_LINES = 1020;

/** By name. @throws Error when it is another table */
export function readProtocols(reply: Reply): ReadonlyMap<string, ProtocolState> {
  if (reply[0]?.code !== HEADING || !/^Name\s+Proto\s+Table\s+State\s+Since\s+Info\s*$/.test(reply[0].text)) {
    throw new Error(`"${reply[0]?.text}" is not the heading of the protocols`);
  }
  const found = new Map<string, ProtocolState>();
  let name = '';
  for (const { code, text } of reply.slice(1)) {
    if (code === PROTOCOL) {
      const protocol = protocolOf(text);
      name = protocol.name;
      found.set(name, protocol);
    } else if (code === DETAILS) {
      const [, imported, exported] = /^\s+Routes:\s+(\d+) imported,(?: \d+ filtered,)? (\d+) exported/.exec(text) ?? [];
      const protocol = found.get(name);
      if (exported === undefined || !protocol) continue;
      found.set(name, { ...protocol, imported: Number(imported), exported: Number(exported) });
    }
  }
  return found;
}

function protocolOf(line: string): ProtocolState {
  const [, name, state, since, info] =
    /^(\S+)\s+\S+\s+\S+\s+(\S+)\s+(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?|\S+)\s*(.*)$/.exec(line) ?? [];
  if (name === undefined || state === undefined) throw new Error(`"${line}" is not the line of a protocol`);
  return { name, state, sinceMs: timeOf(since!), info: info!.trim(), imported: null, exported: null };
}

/** `timeformat protocol iso long ms`, in the machine's time zone. */
export function timeOf(text: string): number | null {
  const [, date, time] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,6})?)$/.exec(text) ?? [];
  const ms = date === undefined ? Number.NaN : Date.parse(`${date}T${time}`);
  return Number.isNaN(ms) ? null : ms;
}

/** None when BFD is off. @throws Error when it is another table */
export function readBfdSessions(reply: Reply): readonly BfdState[] {
  const lines = reply.filter(({ code }) => code === BFD_LINES).map(({ text }) => text.trim());
  return lines
    .filter((line) => line !== '' && !line.endsWith(':') && !line.startsWith('IP address'))
    .map((line) => {
      const [, address, state] = /^(\S+)\s+\S+\s+(Up|Down|Init|AdminDown)\s/.exec(line) ?? [];
      if (address === undefined || state === undefined) throw new Error(`"${line}" is not a BFD session`);
      return { address, state };
    });
}
