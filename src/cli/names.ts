import { isIP } from 'node:net';
import { UsageError } from './errors.js';

/** "GROUP/BACKEND" */
export function parseBackendName(text: string): { group: string; backend: string } {
  const match = /^([^/]+)\/([^/]+)$/.exec(text);
  if (match === null) {
    throw new UsageError(
      `"${text}" is no GROUP/BACKEND: name the group too, for example web/be1 ("spillway backends" lists them)`,
    );
  }
  return { group: match[1]!, backend: match[2]! };
}

/** "198.51.100.7:40000" or "[2001:db8::7]:40000" */
export function parseEndpoint(text: string): { address: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const address = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3] ?? Number.NaN);
  const family = isIP(address);
  const bracketed = match?.[1] !== undefined;
  if (family === 0 || (family === 6) !== bracketed || !(port >= 1 && port <= 65_535)) {
    throw new UsageError(`"${text}" is no ADDRESS:PORT: write 198.51.100.7:40000 or [2001:db8::7]:40000`);
  }
  return { address, port };
}

/** Bytes as an option gives them: "07c4605e", "07:c4:60:5e". */
export function parseHex(option: string, text: string): Uint8Array {
  const digits = text.replaceAll(':', '');
  if (!/^([0-9a-f]{2})*$/i.test(digits)) {
    throw new UsageError(`${option} "${text}" is no row of bytes: write two hexadecimal digits for each`);
  }
  return Buffer.from(digits, 'hex');
}

/** "192.0.2.1:443", "[2001:db8::1]:443" */
export function formatEndpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** For enums given on the command line: upper case, one of the known words. */
export function parseWord<const Word extends string>(what: string, text: string, words: readonly Word[]): Word {
  const word = words.find((known) => known === text.toUpperCase());
  if (word === undefined) {
    throw new UsageError(`${what} "${text}" is unknown: use ${words.map((known) => known.toLowerCase()).join(', ')}`);
  }
  return word;
}
