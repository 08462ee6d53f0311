import type { Logger } from '../../../src/base/log.js';

export interface Heard extends Logger {
  readonly lines: string[];
}

export function listeningLog(): Heard {
  const lines: string[] = [];
  const take = (level: string) => (_: object, message: string) => void lines.push(`${level}: ${message}`);
  return { lines, debug: take('debug'), info: take('info'), warn: take('warn'), error: take('error') };
}
