/** Options that several commands have, and how their words are read. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Ip, parseIp } from '../base/ip.js';
import { defaultInstance } from './defaults.js';
import { type PortMapping, parseMapping } from './mapping.js';
import { type Prefix, parsePrefix } from './prefix.js';
import type { Clamp } from './rules.js';

export function instanceOption(): Option {
  return new Option('--instance <name>', 'name of its pins (default: backend-<interface>)').argParser((text) => {
    if (/^[A-Za-z0-9][A-Za-z0-9:_-]{0,62}$/.test(text)) return text;
    throw new InvalidArgumentError('Wanted: letters, digits, "-", "_" and ":", 63 at most.');
  });
}

export function instanceOf(flags: { readonly interface?: string; readonly instance?: string }): string {
  return flags.instance ?? defaultInstance(flags.interface ?? '');
}

export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (parsed === null)
    throw new InvalidArgumentError('Wanted: an address, or a prefix without host bits (203.0.113.0/24).');
  return parsed;
}

export function address(text: string): Ip {
  const parsed = parseIp(text);
  if (parsed === null) throw new InvalidArgumentError('Wanted: an IPv4 or IPv6 address.');
  return parsed;
}

export function mapping(text: string): PortMapping {
  const parsed = parseMapping(text);
  if (parsed === null) {
    throw new InvalidArgumentError(
      'Wanted: PROTOCOL:VIP:PORT=HOST:PORT, such as tcp:192.0.2.10:80=203.0.113.21:8080 or udp:[2001:db8::10]:53=[2001:db8:200::21]:5353.',
    );
  }
  return parsed;
}

/** "off" is null. */
export function portOrOff(text: string): number | null {
  if (text === 'off') return null;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65535) throw new InvalidArgumentError('Wanted: a port from 1 to 65535, or "off".');
  return port;
}

/** Below 88 bytes it is no segment size, above 65495 no packet can hold it. */
export function clamp(text: string): Clamp {
  if (text === 'off' || text === 'auto') return text;
  const mss = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (mss < 88 || mss > 65495) throw new InvalidArgumentError('Wanted: "auto", "off", or bytes from 88 to 65495.');
  return mss;
}

export function collect<T>(
  parse: (text: string) => T,
): (text: string, before: readonly T[] | undefined) => readonly T[] {
  return (text, before = []) => [...before, parse(text)];
}

export function examples(command: Command, lines: readonly string[]): void {
  command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ ${line}\n`).join('')}`);
}
